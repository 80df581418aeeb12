import { sql, type RawBuilder } from 'kysely'
import { invariant } from '../domain/errors.ts'
import { NOT_ADMITTED, SMALL_IGNORES } from './hold.ts'
import { JOB_STATES } from './job-states.ts'
import { exact } from './meta.ts'
import { copyToRepo } from './newest.ts'
import type { Db } from './schema.ts'

const IDS_PER_STATEMENT = 500

/**
 * Makes everything follow from a snapshot's decisions: content that is already held counts at once, content that is
 * not gets a job, jobs that nobody wants go, sums and state are right again. Held files stay held whatever is decided.
 */
export async function settleSnapshot(db: Db, snapshotId: number): Promise<void> {
  await holdKnownContent(db, snapshotId)
  await dropUnwanted(db, snapshotId)
  const { rank, hold, wasHeldLess } = await recount(db, snapshotId)
  if (wasHeldLess) await refreshJobs(db, sql`SELECT job_id FROM job_files WHERE snapshot_id = ${snapshotId}`)
  await addJobs(db, snapshotId, { rank, hold })
  await copyToRepo(db, snapshotId)
}

/** Wanted files whose bytes some blob has: by SHA-256, or by git oid, and always with the promised size. */
async function holdKnownContent(db: Db, snapshotId: number): Promise<void> {
  await sql`UPDATE files SET blob_id = blobs.id FROM blobs
    WHERE files.snapshot_id = ${snapshotId} AND files.take = 1 AND files.blob_id IS NULL
      AND files.is_lfs = 1 AND blobs.sha256 = files.lfs_oid AND blobs.size = files.size`.execute(db)
  await sql`UPDATE files SET blob_id = blobs.id FROM blobs
    WHERE files.snapshot_id = ${snapshotId} AND files.take = 1 AND files.blob_id IS NULL
      AND files.is_lfs = 0 AND blobs.git_oid = files.git_oid AND blobs.size = files.size`.execute(db)
  await sql`INSERT INTO snapshot_blobs (blob_id, snapshot_id, verified_ms)
    SELECT DISTINCT files.blob_id, files.snapshot_id, blobs.verified_ms
    FROM files JOIN blobs ON blobs.id = files.blob_id WHERE files.snapshot_id = ${snapshotId}
    ON CONFLICT DO NOTHING`.execute(db)
}

async function dropUnwanted(db: Db, snapshotId: number): Promise<void> {
  const dropped = await sql<{ job_id: number }>`DELETE FROM job_files
    WHERE snapshot_id = ${snapshotId} AND NOT EXISTS (
      SELECT 1 FROM files WHERE files.snapshot_id = job_files.snapshot_id AND files.path_key = job_files.path_key
        AND files.is_small = job_files.is_small AND files.take = 1 AND files.blob_id IS NULL)
    RETURNING job_id`.execute(db)
  const jobIds = [...new Set(dropped.rows.map((row) => row.job_id))]
  for (let at = 0; at < jobIds.length; at += IDS_PER_STATEMENT) {
    const some = sql.join(jobIds.slice(at, at + IDS_PER_STATEMENT))
    await sql`DELETE FROM jobs WHERE id IN (${some})
      AND NOT EXISTS (SELECT 1 FROM job_files WHERE job_files.job_id = jobs.id)`.execute(db)
    await refreshJobs(db, some)
  }
}

/** A job that is there already keeps what is better of its own and of this snapshot's rank and hold. */
async function addJobs(db: Db, snapshotId: number, order: { rank: number; hold: number }): Promise<void> {
  const missing = sql`snapshot_id = ${snapshotId} AND take = 1 AND blob_id IS NULL`
  const digest = sql`CASE is_lfs WHEN 1 THEN lfs_oid ELSE git_oid END`
  const isSmall = sql`CASE WHEN excluded.is_small > jobs.is_small THEN excluded.is_small ELSE jobs.is_small END`
  const hold = sql`CASE WHEN excluded.hold < jobs.hold THEN excluded.hold ELSE jobs.hold END`
  await sql`INSERT INTO jobs (digest, size, is_small, state, rank, hold, is_runnable, attempts, until_ms)
    SELECT ${digest}, size, MAX(is_small), 0, ${order.rank}, ${order.hold},
      ${isRunnable(sql`${order.hold}`, sql`MAX(is_small)`)}, 0, 0
    FROM files WHERE ${missing} GROUP BY 1, 2 ORDER BY MIN(path_key)
    ON CONFLICT (digest, size) DO UPDATE SET
      is_small = ${isSmall}, hold = ${hold}, is_runnable = ${isRunnable(hold, isSmall)},
      rank = CASE WHEN excluded.rank < jobs.rank THEN excluded.rank ELSE jobs.rank END`.execute(db)
  const added = await sql<{ job_id: number }>`INSERT INTO job_files (snapshot_id, is_small, path_key, job_id)
    SELECT wanted.snapshot_id, wanted.is_small, wanted.path_key, jobs.id
    FROM (SELECT snapshot_id, is_small, path_key, size, ${digest} AS digest FROM files WHERE ${missing}) AS wanted
    JOIN jobs ON jobs.digest = wanted.digest AND jobs.size = wanted.size
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING RETURNING job_id`.execute(db)
  await wakeForNewSource(
    db,
    added.rows.map((row) => row.job_id),
  )
}

/** Whoever lists these bytes now may have what those that were asked before refused or served damaged. */
async function wakeForNewSource(db: Db, jobIds: readonly number[]): Promise<void> {
  for (let at = 0; at < jobIds.length; at += IDS_PER_STATEMENT) {
    await sql`UPDATE jobs SET state = ${sql.lit(JOB_STATES.ready)}, until_ms = 0
      WHERE id IN (${sql.join(jobIds.slice(at, at + IDS_PER_STATEMENT))}) AND state = ${sql.lit(JOB_STATES.waiting)}`.execute(
      db,
    )
  }
}

/** Whether a job may move under a hold: small ones ignore the weaker holds. */
function isRunnable(hold: RawBuilder<unknown>, isSmall: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`CASE WHEN ${hold} <= CASE ${isSmall} WHEN 1 THEN ${sql.lit(SMALL_IGNORES)} ELSE 0 END THEN 1 ELSE 0 END`
}

/**
 * Rank, hold and permission of jobs: the best of the snapshots that want them. `jobIds` is a list or a query of their
 * ids. What is already right is not written.
 */
export async function refreshJobs(db: Db, jobIds: RawBuilder<unknown>): Promise<void> {
  const runnable = isRunnable(sql`best.hold`, sql`jobs.is_small`)
  await sql`UPDATE jobs SET rank = best.rank, hold = best.hold, is_runnable = ${runnable}
    FROM (SELECT job_files.job_id, MIN(snapshots.rank) AS rank, MIN(snapshots.hold) AS hold
      FROM job_files JOIN snapshots ON snapshots.id = job_files.snapshot_id
      WHERE job_files.job_id IN (${jobIds}) GROUP BY job_files.job_id) AS best
    WHERE jobs.id = best.job_id
      AND (jobs.rank <> best.rank OR jobs.hold <> best.hold OR jobs.is_runnable <> ${runnable})`.execute(db)
}

interface Sums {
  files: number
  wanted: number
  wanted_bytes: number
  held: number
  held_bytes: number
  missing: number
  missing_large: number
  kept: number
}

/** Counts a snapshot's files again. Returns its order, and whether jobs it already wants were permitted more before. */
async function recount(db: Db, snapshotId: number): Promise<{ rank: number; hold: number; wasHeldLess: boolean }> {
  // As real numbers: sums of hostile sizes would overflow an integer. Exact up to 2^53, and capped there.
  const bytes = sql`CAST(size AS REAL)`
  const sums = await sql<Sums>`SELECT COUNT(*) AS files,
      COALESCE(SUM(take), 0) AS wanted,
      COALESCE(SUM(CASE WHEN take = 1 THEN ${bytes} END), 0) AS wanted_bytes,
      COUNT(blob_id) AS held,
      COALESCE(SUM(CASE WHEN blob_id IS NOT NULL THEN ${bytes} END), 0) AS held_bytes,
      COALESCE(SUM(CASE WHEN take = 1 AND blob_id IS NULL THEN 1 END), 0) AS missing,
      COALESCE(SUM(CASE WHEN take = 1 AND blob_id IS NULL AND is_small = 0 THEN ${bytes} END), 0) AS missing_large,
      COALESCE(SUM(CASE WHEN take = 1 OR blob_id IS NOT NULL THEN 1 END), 0) AS kept
    FROM files WHERE snapshot_id = ${snapshotId}`.execute(db)
  const before = await db.selectFrom('snapshots').selectAll().where('id', '=', snapshotId).executeTakeFirst()
  const now = sums.rows[0]
  invariant(before !== undefined && now !== undefined, `snapshot ${snapshotId} exists`)
  const missingLargeBytes = exact(now.missing_large)
  const state = stateOf({ ...before, missing_files: now.missing, files_held: now.held })
  const grew = missingLargeBytes > before.missing_large_bytes
  const hold = now.missing === 0 ? 0 : grew ? Math.max(NOT_ADMITTED, before.hold) : before.hold
  const coverage = now.kept === now.files ? 'all' : 'selection'
  await db
    .updateTable('snapshots')
    .set({
      files_wanted: now.wanted,
      bytes_wanted: exact(now.wanted_bytes),
      files_held: now.held,
      bytes_held: exact(now.held_bytes),
      missing_files: now.missing,
      missing_large_bytes: missingLargeBytes,
      coverage: state === 'sealed' ? before.coverage : coverage,
      hold,
      state,
    })
    .where('id', '=', snapshotId)
    .execute()
  return { rank: before.rank, hold, wasHeldLess: hold > before.hold && before.missing_files > 0 }
}

/** The state that follows from a snapshot's counts. What was fetched and has no manifest yet is still `fetching`. */
export function stateOf(snapshot: {
  state: string
  blocked_by: string | null
  missing_files: number
  manifest_revision: number
  sealed_files: number
  files_held: number
}): string {
  if (snapshot.blocked_by !== null) return 'blocked'
  if (snapshot.missing_files > 0) return 'fetching'
  if (snapshot.manifest_revision === 0) return snapshot.state
  return snapshot.sealed_files === snapshot.files_held ? 'sealed' : 'fetching'
}
