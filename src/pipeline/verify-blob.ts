import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { Attestor } from '../domain/manifest.ts'
import { printRepo } from '../domain/repo.ts'
import { hearWitness } from '../domain/witness.ts'
import type { Job } from '../catalog-rows.ts'
import type { Digests, HubFile } from '../ports.ts'
import { nowIso, type PipelineDeps } from './deps.ts'

/**
 * Checks the digests of downloaded bytes against what the Hub promised, then publishes them under their SHA-256. Bytes
 * that differ go to quarantine: nobody knows yet which side is wrong.
 * @returns who vouched for the bytes
 * @throws ArchiveError DIGEST_MISMATCH; nothing is published
 */
export async function verifyBlob(
  deps: PipelineDeps,
  job: Job,
  digests: Digests,
  signal: AbortSignal,
): Promise<readonly Attestor[]> {
  const attestor = promisedBy(job.key, digests)
  const source = job.sources[0]
  if (attestor === undefined) {
    await quarantine(deps, job, digests, source, signal)
    const name = source === undefined ? job.key : `${displayName(source.path)} of ${printRepo(source.ref)}`
    throw new ArchiveError('DIGEST_MISMATCH', `the bytes of ${name} are not the ones the Hub promised`, {
      hint: 'the bytes are in quarantine with a note; nothing was published; the download is tried again later',
      details: { promised: job.key, sha256: digests.sha256, gitOid: digests.gitOid, size: digests.size },
    })
  }
  await deps.blobs.publish(job.key, digests, signal)
  const heard = job.sources.map((file) =>
    hearWitness(deps.witness.lookUp(file.ref, file.commit, file.path), digests.sha256),
  )
  return heard.includes('agrees') ? [attestor, 'witness'] : [attestor]
}

function promisedBy(key: ContentKey, digests: Digests): Attestor | undefined {
  if (key === `sha256-${digests.sha256}`) return 'hub-lfs-oid'
  if (key === `git-${digests.gitOid}-${digests.size}`) return 'hub-git-oid'
  return undefined
}

async function quarantine(
  deps: PipelineDeps,
  job: Job,
  digests: Digests,
  source: HubFile | undefined,
  signal: AbortSignal,
): Promise<void> {
  const note = {
    reason: 'the bytes differ from the digest the Hub promised',
    at: nowIso(deps),
    repo: source === undefined ? undefined : printRepo(source.ref),
    commit: source?.commit,
    path: source?.path,
    expected: job.key,
    actual: digests.sha256,
    size: digests.size,
  }
  await deps.blobs.quarantinePartial(job.key, note, signal)
}
