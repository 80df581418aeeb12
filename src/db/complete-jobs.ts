import { invariant } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import type { CompletedJob } from '../work-rows.ts'
import type { BulkComplete, StoredBlob } from './bulk-complete.ts'
import { bytesOf, sha256Of } from './codec.ts'
import { packAttestors } from './files.ts'
import { holdCode } from './hold.ts'
import { addToCounters, exact } from './meta.ts'
import type { Db } from './schema.ts'
import { COMMIT_GONE } from './snapshots.ts'

/** Of a blob whose git oid nobody promises, so that it was not computed: matches no file. */
export const NO_GIT_OID = Buffer.alloc(0)

/** What one snapshot gained. */
interface Gain {
  files: number
  bytes: number
  largeBytes: number
}

/** What followed from completed jobs. */
export interface Completion {
  /** Snapshots that now want nothing more. */
  readonly complete: number[]
  /** Repairs to be told. */
  readonly news: ChangeEvent[]
}

/**
 * Notes that the bytes of jobs are published: every file that waited for them is held. The same bytes may have been
 * wanted under their SHA-256 and under their git oid, by two jobs; both are done then. A job that nobody wants any more
 * is gone already: the blob is noted all the same.
 */
export async function completeJobs(
  db: Db,
  bulk: BulkComplete,
  done: readonly CompletedJob[],
  at: string,
): Promise<Completion> {
  const gains = new Map<number, Gain>()
  const news: ChangeEvent[] = []
  const stored = { blobs: 0, blob_bytes: 0 }
  for (const { jobId, digests, attestedBy } of done) {
    const blob: StoredBlob = {
      sha256: bytesOf(digests.sha256),
      git_oid: digests.gitOid === undefined ? NO_GIT_OID : bytesOf(digests.gitOid),
      size: digests.size,
      stored_at: at,
      verified_ms: Date.parse(at),
      attested_by: packAttestors(attestedBy),
    }
    assertSameBytes(bulk, jobId, blob)
    const { id, isNew } = bulk.storeBlob(blob)
    if (isNew) stored.blobs += 1
    if (isNew) stored.blob_bytes = exact(stored.blob_bytes + blob.size)
    for (const job of bulk.jobsOf(jobId, blob)) {
      bulk.hold(job, { id, verifiedMs: blob.verified_ms }, (snapshotId, isSmall) =>
        addGain(gains, snapshotId, isSmall, blob.size),
      )
    }
    const damage = bulk.endDamage(blob.sha256)
    if (damage !== undefined) news.push(repaired(blob.sha256, damage, at))
  }
  if (stored.blobs > 0) await addToCounters(db, stored)
  const complete: number[] = []
  for (const [snapshotId, gain] of gains) if (await moveCounts(db, snapshotId, gain)) complete.push(snapshotId)
  return { complete, news }
}

function assertSameBytes(bulk: BulkComplete, jobId: number, blob: StoredBlob): void {
  const job = bulk.job(jobId)
  const isSame =
    job === undefined || (job.size === blob.size && (job.digest.equals(blob.sha256) || job.digest.equals(blob.git_oid)))
  invariant(isSame, `job ${jobId} is completed with the bytes it was for`)
}

function addGain(gains: Map<number, Gain>, snapshotId: number, isSmall: 0 | 1, size: number): void {
  const gain = gains.get(snapshotId) ?? { files: 0, bytes: 0, largeBytes: 0 }
  gain.files += 1
  gain.bytes += size
  if (isSmall === 0) gain.largeBytes += size
  gains.set(snapshotId, gain)
}

/** Counts are moved, not counted again. Returns whether the snapshot now wants nothing more and may be sealed. */
async function moveCounts(db: Db, snapshotId: number, gain: Gain): Promise<boolean> {
  const before = await db
    .selectFrom('snapshots')
    .select(['state', 'blocked_by', 'hold', 'files_held', 'bytes_held', 'missing_files', 'missing_large_bytes'])
    .where('id', '=', snapshotId)
    .executeTakeFirstOrThrow()
  const missingFiles = before.missing_files - gain.files
  // Other commits had all that it lacked.
  const isWhole = missingFiles === 0 && before.blocked_by === COMMIT_GONE
  await db
    .updateTable('snapshots')
    .set({
      files_held: before.files_held + gain.files,
      bytes_held: exact(before.bytes_held + gain.bytes),
      missing_files: missingFiles,
      missing_large_bytes: missingFiles === 0 ? 0 : Math.max(0, before.missing_large_bytes - gain.largeBytes),
      hold: missingFiles === 0 ? holdCode('none') : before.hold,
      ...(isWhole ? { state: 'fetching', blocked_by: null } : {}),
    })
    .where('id', '=', snapshotId)
    .execute()
  return missingFiles === 0 && (isWhole || before.state !== 'blocked')
}

/** What is told of a blob that was damaged and is published again. */
export function repaired(sha256: Buffer, damage: { found: string; found_at: string }, at: string): ChangeEvent {
  return {
    type: 'fixity-repaired',
    severity: 'notice',
    repo: undefined,
    at,
    before: damage.found,
    after: sha256Of(sha256),
    detail: { sha256: sha256Of(sha256), found: damage.found, foundAt: damage.found_at },
  }
}
