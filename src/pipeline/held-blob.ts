import type { BlobStore, QuarantineNote } from '../blob-port.ts'
import type { Digests, Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import type { NewDamage } from '../work-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

/** A blob that is not what its name says, with a file of which it holds the bytes. */
export interface DamagedBlob {
  readonly repo: string
  readonly path: string
  readonly sha256: Sha256
}

/**
 * Digests of the blob as it is on disk now; undefined when it has other bytes than its name says, or none that can be
 * read. It is read twice before that is believed: a cable or a memory chip that fails now and then is not the file's damage.
 * @throws FILE_UNKNOWN when it is not there; FIXITY_FAILED when it is no regular file; DISK_FAILED
 */
export async function readHeld(
  blobs: Pick<BlobStore, 'digest'>,
  sha256: Sha256,
  signal: AbortSignal,
): Promise<Digests | undefined> {
  for (let reads = 0; reads < 2; reads += 1) {
    try {
      const digests = await blobs.digest(sha256, signal)
      if (digests.sha256 === sha256) return digests
    } catch (error) {
      signal.throwIfAborted()
      if (!isReadError(error)) throw error
    }
  }
  return undefined
}

/** The disk said that these bytes cannot be read; too many open files, say, is no damage. */
function isReadError(error: unknown): boolean {
  const cause = error instanceof ArchiveError ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'EIO'
}

/** Takes the name from a blob that was found damaged, keeps its bytes as evidence, and tells it. */
export async function setDamagedAside(deps: PipelineDeps, blob: DamagedBlob, signal: AbortSignal): Promise<void> {
  const at = nowIso(deps)
  await deps.blobs.quarantineBlob(blob.sha256, damageNote(blob, at), signal)
  announce(deps, await deps.catalog.recordDamage([damageOf(blob, 'corrupt', at)], at))
}

/** What is written beside the bytes of a damaged blob. */
export function damageNote({ repo, path, sha256 }: DamagedBlob, at: string): QuarantineNote {
  return {
    reason: 'an archived blob is no longer what its SHA-256 says',
    at,
    repo,
    commit: undefined,
    path,
    expected: sha256,
    actual: 'other bytes, or none that can be read',
    size: 0,
  }
}

/** The damage and the event that tells it. */
export function damageOf({ repo, path, sha256 }: DamagedBlob, found: 'corrupt' | 'missing', at: string): NewDamage {
  const event: ChangeEvent = {
    type: 'fixity-failed',
    severity: 'critical',
    repo: undefined,
    at,
    before: sha256,
    after: found,
    detail: { repo, path, sha256, found },
  }
  return { sha256, found, event }
}
