import type { FailedTry } from '../work-rows.ts'
import { IS_NOT_READY } from './conditions.ts'
import { JOB_STATES } from './job-states.ts'
import type { Db } from './schema.ts'
import { blockSnapshot, COMMIT_GONE } from './snapshots.ts'

/** Lets a job wait after a failure. A job that nobody wants any more is gone already; that is no error. */
export async function failJob(db: Db, jobId: number, { code, nextTryMs, attempts }: FailedTry): Promise<void> {
  await db
    .updateTable('jobs')
    .set({
      state: JOB_STATES.waiting,
      until_ms: nextTryMs,
      last_code: code,
      ...(attempts === undefined ? {} : { attempts }),
    })
    .where('id', '=', jobId)
    .execute()
  if (code === COMMIT_GONE) await blockIfGone(db, jobId)
}

/** A commit may be unknown for a moment to a Hub that has just been told of it. */
const TRIES_UNTIL_GONE = 3

/** A commit that was squashed away never comes back. Where others want the same bytes, theirs may be another answer. */
async function blockIfGone(db: Db, jobId: number): Promise<void> {
  const job = await db.selectFrom('jobs').select('attempts').where('id', '=', jobId).executeTakeFirst()
  if (job === undefined || job.attempts < TRIES_UNTIL_GONE) return
  const wantedBy = await db
    .selectFrom('job_files')
    .select('snapshot_id')
    .distinct()
    .where('job_id', '=', jobId)
    .limit(2)
    .execute()
  const [only, other] = wantedBy
  if (only !== undefined && other === undefined) await blockSnapshot(db, only.snapshot_id, COMMIT_GONE)
}

/** Gives leased jobs back as if they had not been leased. */
export async function releaseJobs(db: Db, jobIds: readonly number[]): Promise<void> {
  if (jobIds.length === 0) return
  await db
    .updateTable('jobs')
    .set((eb) => ({ state: JOB_STATES.ready, until_ms: 0, attempts: eb('attempts', '-', 1) }))
    .where('id', 'in', jobIds)
    .where('state', '=', JOB_STATES.leased)
    .execute()
}

/** Ends every lease. Returns how many there were. */
export async function releaseAllLeases(db: Db): Promise<number> {
  const result = await db
    .updateTable('jobs')
    .set({ state: JOB_STATES.ready, until_ms: 0 })
    .where(IS_NOT_READY)
    .where('state', '=', JOB_STATES.leased)
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}
