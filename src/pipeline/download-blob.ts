import type { Digests } from '../domain/digest.ts'
import { errorCodeOf } from '../domain/errors.ts'
import { isContentOf } from '../domain/listing.ts'
import type { HubFile } from '../hub-port.ts'
import type { PartialFile } from '../intake-port.ts'
import type { Job } from '../work-rows.ts'
import type { PipelineDeps } from './deps.ts'
import { lookAgain, type Look } from './look-again.ts'
import { assertSizeServed, fillPartial, type SharedTransfer, type Transfer } from './transfer-ranges.ts'
import { digestOfHeld } from './verify-blob.ts'

/** Times that bytes on disk may turn out to be damaged before a disk is no longer trusted with a file. */
const MAX_DAMAGES = 3

/** Bytes of a job, whole in their partial file or held already. */
export interface Brought {
  readonly digests: Digests
  /** Where they came from; undefined when the blob was on disk already and was only proven. */
  readonly source: HubFile | undefined
  /** What a second look at them found when they are wrong all the same. */
  readonly look?: Look | undefined
}

/**
 * Brings the bytes of one job from one source into its partial file, resuming what is there, and returns their digests
 * as read back from disk after fsync. When they are not the promised ones, what came wrongly is looked for and replaced.
 * @throws ArchiveError TRANSFER_*, DISK_*, REPO_*, FILE_UNAVAILABLE, HUB_*; HeldBack
 */
export async function downloadBlob(
  deps: PipelineDeps,
  job: Job,
  source: HubFile,
  shared: SharedTransfer,
  signal: AbortSignal,
): Promise<Brought> {
  const held = await digestOfHeld(deps, job, signal)
  if (held !== undefined) return { digests: held, source: undefined }
  const transfer: Transfer = { deps, job, source, shared, resolved: undefined }
  const begun = await deps.blobs.begunSize(job.key)
  // Two listings promise these bytes with two sizes: one that is wrong must not undo what came for the other.
  if (begun !== undefined && begun !== job.size) await assertSizeServed(transfer, signal)
  await using partial = await deps.blobs.openPartial(job.key, job.size, signal)
  deps.progress.started(source, job.size, partial.heldBytes)
  try {
    const prove = (): Promise<Digests> => fillAndProve(transfer, partial, signal)
    const digests = await prove()
    if (isContentOf(job.key, digests)) return { digests, source }
    return { ...(await lookAgain(transfer, partial, digests, prove, signal)), source }
  } catch (error) {
    deps.progress.ended(source)
    throw error
  }
}

/** Fetches what is missing, and once more what the disk turns out to have damaged. */
async function fillAndProve(transfer: Transfer, partial: PartialFile, signal: AbortSignal): Promise<Digests> {
  const { deps, job } = transfer
  for (let damages = 0; ; damages += 1) {
    await fillPartial(transfer, partial, signal)
    try {
      return await partial.finish(signal)
    } catch (error) {
      if (errorCodeOf(error) !== 'PARTIAL_DAMAGED' || damages >= MAX_DAMAGES) throw error
      deps.log.warn({ component: 'download', key: job.key, err: error }, 'damaged blocks are fetched again')
    }
  }
}
