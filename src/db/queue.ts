import type { QueueRow } from '../work-rows.ts'
import { commitOf, pathKeyOf, pathOfKey, refOf } from './codec.ts'
import { IS_NOT_READY } from './conditions.ts'
import { holdOf } from './hold.ts'
import { JOB_STATES, jobStateOf } from './job-states.ts'
import { isPaused } from './meta.ts'
import type { Db } from './schema.ts'

type Section = (db: Db, limit: number) => Promise<StoredJob[]>

interface StoredJob {
  id: number
  size: number
  is_small: number
  state: number
  hold: number
  is_runnable: number
  attempts: number
  until_ms: number
  last_code: string | null
}

/** The head of the queue: what runs, then what runs next, then what waits for a pause to end, then what is held. */
export async function queuePage(db: Db, limit: number): Promise<QueueRow[]> {
  const jobs: StoredJob[] = []
  for (const section of SECTIONS) {
    if (jobs.length >= limit) break
    jobs.push(...(await section(db, limit - jobs.length)))
  }
  const paused = await isPaused(db)
  const rows: QueueRow[] = []
  for (const job of jobs) {
    const row = await queueRowOf(db, job, paused)
    if (row !== undefined) rows.push(row)
  }
  return rows
}

/** The job that brings this file; undefined when none does. */
export async function jobOfFile(db: Db, snapshotId: number, path: string): Promise<QueueRow | undefined> {
  const job = await db
    .selectFrom('job_files')
    .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
    .selectAll('jobs')
    .where('job_files.snapshot_id', '=', snapshotId)
    .where('job_files.is_small', 'in', [0, 1])
    .where('job_files.path_key', '=', pathKeyOf(path))
    .executeTakeFirst()
  return job === undefined ? undefined : queueRowOf(db, job, await isPaused(db))
}

const inOrder =
  (state: number, isRunnable: 0 | 1, isSmall: 0 | 1): Section =>
  (db, limit) =>
    db
      .selectFrom('jobs')
      .selectAll()
      .where('state', '=', state)
      .where('is_runnable', '=', isRunnable)
      .where('is_small', '=', isSmall)
      .orderBy('rank')
      .orderBy('id')
      .limit(limit)
      .execute()

const waiting =
  (isRunnable: 0 | 1): Section =>
  (db, limit) =>
    db
      .selectFrom('jobs')
      .selectAll()
      .where(IS_NOT_READY)
      .where('state', '=', JOB_STATES.waiting)
      .where('is_runnable', '=', isRunnable)
      .orderBy('until_ms')
      .limit(limit)
      .execute()

// Every section is a range of an index.
const SECTIONS: readonly Section[] = [
  inOrder(JOB_STATES.leased, 1, 1),
  inOrder(JOB_STATES.leased, 1, 0),
  inOrder(JOB_STATES.leased, 0, 1),
  inOrder(JOB_STATES.leased, 0, 0),
  inOrder(JOB_STATES.ready, 1, 1),
  inOrder(JOB_STATES.ready, 1, 0),
  waiting(1),
  inOrder(JOB_STATES.ready, 0, 1),
  inOrder(JOB_STATES.ready, 0, 0),
  waiting(0),
]

async function queueRowOf(db: Db, job: StoredJob, paused: boolean): Promise<QueueRow | undefined> {
  const file = await db
    .selectFrom('job_files')
    .innerJoin('snapshots', 'snapshots.id', 'job_files.snapshot_id')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['repos.type', 'repos.name', 'snapshots.commit_id', 'job_files.path_key'])
    .where('job_files.job_id', '=', job.id)
    .limit(1)
    .executeTakeFirst()
  if (file === undefined) return undefined
  return {
    jobId: job.id,
    ref: refOf(file),
    commit: commitOf(file.commit_id),
    path: pathOfKey(file.path_key),
    size: job.size,
    isSmall: job.is_small === 1,
    state: jobStateOf(job.state),
    hold: paused ? 'paused' : job.is_runnable === 1 ? 'none' : holdOf(job.hold),
    attempts: job.attempts,
    nextTryAt: job.state === JOB_STATES.waiting ? new Date(job.until_ms).toISOString() : undefined,
    lastCode: job.last_code ?? undefined,
  }
}
