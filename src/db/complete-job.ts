import { sql } from 'kysely'
import { invariant } from '../domain/errors.ts'
import type { Attestor } from '../domain/manifest.ts'
import type { Digests } from '../ports.ts'
import { bytesOf } from './codec.ts'
import { packAttestors } from './files.ts'
import { holdCode } from './hold.ts'
import { JOB_STATES } from './jobs.ts'
import { addToCounters, exact } from './meta.ts'
import type { Db } from './schema.ts'
import { COMMIT_GONE } from './snapshots.ts'

/** Of a blob whose git oid nobody promises, so that it was not computed: matches no file. */
const NO_GIT_OID = Buffer.alloc(0)

/**
 * Notes that a job's bytes are published: every file that waited for them is held. The same bytes may have been wanted
 * under their SHA-256 and under their git oid, by two jobs; both are done then. A job that nobody wants any more is
 * gone already: the blob is noted all the same. Returns the snapshots that now want nothing more.
 */
export async function completeJob(
  db: Db,
  jobId: number,
  digests: Digests,
  proof: { attestedBy: readonly Attestor[]; at: string },
): Promise<number[]> {
  const sha256 = bytesOf(digests.sha256)
  const gitOid = digests.gitOid === undefined ? NO_GIT_OID : bytesOf(digests.gitOid)
  const job = await db.selectFrom('jobs').select(['digest', 'size']).where('id', '=', jobId).executeTakeFirst()
  invariant(
    job === undefined || (job.size === digests.size && (job.digest.equals(sha256) || job.digest.equals(gitOid))),
    `job ${jobId} is completed with the bytes it was for`,
  )
  const blobId = await storeBlob(db, { sha256, gitOid, size: digests.size }, proof)
  const done = await db
    .selectFrom('jobs')
    .select('id')
    .where('size', '=', digests.size)
    .where('digest', 'in', [sha256, gitOid])
    .where((eb) => eb.or([eb('id', '=', jobId), eb('state', '<>', JOB_STATES.leased)]))
    .execute()
  const completed: number[] = []
  for (const { id } of done) completed.push(...(await holdFiles(db, id, blobId, Date.parse(proof.at))))
  return [...new Set(completed)]
}

async function storeBlob(
  db: Db,
  blob: { sha256: Buffer; gitOid: Buffer; size: number },
  proof: { attestedBy: readonly Attestor[]; at: string },
): Promise<number> {
  const verifiedMs = Date.parse(proof.at)
  const bits = packAttestors(proof.attestedBy)
  const known = await db
    .selectFrom('blobs')
    .select(['id', 'attested_by', 'git_oid'])
    .where('sha256', '=', blob.sha256)
    .executeTakeFirst()
  if (known !== undefined) {
    const attestedBy = known.attested_by | bits
    const gitOid = known.git_oid.length > 0 ? known.git_oid : blob.gitOid
    await db.updateTable('blobs').set({ attested_by: attestedBy, git_oid: gitOid }).where('id', '=', known.id).execute()
    return known.id
  }
  const { id } = await db
    .insertInto('blobs')
    .values({
      sha256: blob.sha256,
      git_oid: blob.gitOid,
      size: blob.size,
      stored_at: proof.at,
      verified_ms: verifiedMs,
      attested_by: bits,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addToCounters(db, { blobs: 1, blob_bytes: blob.size })
  return id
}

interface Waiting {
  snapshot_id: number
  files: number
  large_files: number
  size: number
}

/** Marks what waited for a job as held and removes the job. Counts are moved, not counted again. */
async function holdFiles(db: Db, jobId: number, blobId: number, verifiedMs: number): Promise<number[]> {
  const waiting = await sql<Waiting>`SELECT job_files.snapshot_id, COUNT(*) AS files,
      COUNT(CASE WHEN job_files.is_small = 0 THEN 1 END) AS large_files, MAX(jobs.size) AS size
    FROM job_files JOIN jobs ON jobs.id = job_files.job_id
    WHERE job_files.job_id = ${jobId} GROUP BY job_files.snapshot_id`.execute(db)
  await sql`UPDATE files SET blob_id = ${blobId} FROM job_files
    WHERE job_files.job_id = ${jobId} AND files.snapshot_id = job_files.snapshot_id
      AND files.path_key = job_files.path_key`.execute(db)
  await sql`INSERT INTO snapshot_blobs (blob_id, snapshot_id, verified_ms)
    SELECT DISTINCT ${blobId}, snapshot_id, ${verifiedMs} FROM job_files WHERE job_id = ${jobId}
    ON CONFLICT DO NOTHING`.execute(db)
  await db.deleteFrom('job_files').where('job_id', '=', jobId).execute()
  await db.deleteFrom('jobs').where('id', '=', jobId).execute()
  const completed: number[] = []
  for (const row of waiting.rows) if (await moveCounts(db, row)) completed.push(row.snapshot_id)
  return completed
}

/** Returns whether the snapshot now wants nothing more and may be sealed. */
async function moveCounts(db: Db, held: Waiting): Promise<boolean> {
  const before = await db
    .selectFrom('snapshots')
    .select(['state', 'blocked_by', 'hold', 'files_held', 'bytes_held', 'missing_files', 'missing_large_bytes'])
    .where('id', '=', held.snapshot_id)
    .executeTakeFirstOrThrow()
  const missingFiles = before.missing_files - held.files
  // Other commits had all that it lacked.
  const isWhole = missingFiles === 0 && before.blocked_by === COMMIT_GONE
  const missingLarge = Math.max(0, before.missing_large_bytes - held.large_files * held.size)
  await db
    .updateTable('snapshots')
    .set({
      files_held: before.files_held + held.files,
      bytes_held: exact(before.bytes_held + held.files * held.size),
      missing_files: missingFiles,
      missing_large_bytes: missingFiles === 0 ? 0 : missingLarge,
      hold: missingFiles === 0 ? holdCode('none') : before.hold,
      ...(isWhole ? { state: 'fetching', blocked_by: null } : {}),
    })
    .where('id', '=', held.snapshot_id)
    .execute()
  return missingFiles === 0 && (isWhole || before.state !== 'blocked')
}
