import { sql, type RawBuilder } from 'kysely'
import type { ContentKey } from '../domain/listing.ts'
import type { Job, QueueRow } from '../catalog-rows.ts'
import { commitOf, contentKeyOfJob, digestOfKey, pathOfKey, refOf } from './codec.ts'
import { IS_NOT_READY, IS_PENDING } from './conditions.ts'
import { isPaused } from './meta.ts'
import type { Db } from './schema.ts'
import { blockSnapshot, COMMIT_GONE } from './snapshots.ts'

/** States of a job as stored. */
export const JOB_STATES = { ready: 0, leased: 1, waiting: 2 } as const

const MAX_SOURCES = 10
/** Of so many that want a content, the best ten are asked: a licence text may be wanted by every repository. */
const SOURCES_CONSIDERED = 200

export interface LeaseOptions {
  readonly nowMs: number
  readonly smallOnly: boolean
  readonly repos?: readonly number[]
  readonly maxBytes?: number
  readonly maxBytesOf?: ReadonlyMap<ContentKey, number>
}

/** Takes the next due job that fits: small files first, then by rank; nothing while the queue is paused. */
export async function leaseJob(db: Db, options: LeaseOptions): Promise<Job | undefined> {
  if (await isPaused(db)) return undefined
  await wakeJobs(db, options.nowMs)
  const jobId =
    options.repos === undefined
      ? ((await nextJob(db, 1, options)) ?? (options.smallOnly ? undefined : await nextJob(db, 0, options)))
      : await nextJobOfRepos(db, options.repos, options)
  if (jobId === undefined) return undefined
  const job = await db
    .updateTable('jobs')
    .set((eb) => ({
      state: JOB_STATES.leased,
      until_ms: 0,
      attempts: eb('attempts', '+', 1),
    }))
    .where('id', '=', jobId)
    .returningAll()
    .executeTakeFirstOrThrow()
  return {
    jobId,
    key: contentKeyOfJob(job),
    size: job.size,
    isSmall: job.is_small === 1,
    attempts: job.attempts - 1,
    lastCode: job.last_code ?? undefined,
    sources: await sourcesOf(db, jobId),
  }
}

/** Pauses that are over. A lease has no end of its own: a living process would lease what it still downloads. */
async function wakeJobs(db: Db, nowMs: number): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ state: JOB_STATES.ready, until_ms: 0 })
    .where(IS_NOT_READY)
    .where('state', '=', JOB_STATES.waiting)
    .where('is_runnable', 'in', [0, 1])
    .where('until_ms', '<=', nowMs)
    .execute()
}

/**
 * One content is fetched by one job at a time: two listings may promise one SHA-256 with two sizes, which makes two
 * jobs, and both would write the same unfinished file.
 */
const SAME_CONTENT_IS_FREE = sql<boolean>`NOT EXISTS (SELECT 1 FROM jobs AS other
  WHERE other.digest = jobs.digest AND other.state = ${sql.lit(JOB_STATES.leased)})`

/** More unfinished files than these are not looked at one by one: what they lack must fit as if they were not there. */
const MAX_STARTED = 100

function fits({ maxBytes, maxBytesOf }: LeaseOptions): RawBuilder<boolean> {
  if (maxBytes === undefined) return sql<boolean>`1`
  const others = [...(maxBytesOf ?? [])]
    .filter(([, max]) => max > maxBytes)
    .slice(0, MAX_STARTED)
    .map(([key, max]) => sql<boolean>`(jobs.digest = ${digestOfKey(key)} AND jobs.size <= ${max})`)
  return sql<boolean>`(${sql.join([sql<boolean>`jobs.size <= ${maxBytes}`, ...others], sql` OR `)})`
}

async function nextJob(db: Db, isSmall: 0 | 1, options: LeaseOptions): Promise<number | undefined> {
  const row = await db
    .selectFrom('jobs')
    .select('id')
    .where('state', '=', JOB_STATES.ready)
    .where('is_runnable', '=', 1)
    .where('is_small', '=', isSmall)
    .where(fits(options))
    .where(SAME_CONTENT_IS_FREE)
    .orderBy('rank')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  return row?.id
}

/** The same among the jobs of some repositories: snapshot by snapshot, so that others' jobs are not even read. */
async function nextJobOfRepos(db: Db, repos: readonly number[], options: LeaseOptions): Promise<number | undefined> {
  if (repos.length === 0) return undefined
  const snapshots = await db
    .selectFrom('snapshots')
    .select('id')
    .where('repo_id', 'in', repos)
    .where(IS_PENDING)
    .orderBy('rank')
    .orderBy('id')
    .execute()
  for (const isSmall of options.smallOnly ? ([1] as const) : ([1, 0] as const)) {
    for (const snapshot of snapshots) {
      const row = await db
        .selectFrom('job_files')
        .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
        .select('jobs.id')
        .where('job_files.snapshot_id', '=', snapshot.id)
        .where('job_files.is_small', '=', isSmall)
        .where('jobs.state', '=', JOB_STATES.ready)
        .where('jobs.is_runnable', '=', 1)
        .where(fits(options))
        .where(SAME_CONTENT_IS_FREE)
        .limit(1)
        .executeTakeFirst()
      if (row !== undefined) return row.id
    }
  }
  return undefined
}

async function sourcesOf(db: Db, jobId: number): Promise<Job['sources']> {
  const rows = await db
    .selectFrom((eb) =>
      eb
        .selectFrom('job_files')
        .select(['snapshot_id', 'path_key'])
        .where('job_id', '=', jobId)
        .limit(SOURCES_CONSIDERED)
        .as('wanted'),
    )
    .innerJoin('snapshots', 'snapshots.id', 'wanted.snapshot_id')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['repos.type', 'repos.name', 'snapshots.commit_id', 'wanted.path_key'])
    .orderBy(
      sql`CASE repos.upstream WHEN 'ok' THEN 0 WHEN 'unknown' THEN 1 WHEN 'renamed' THEN 2 WHEN 'gated' THEN 3 ELSE 4 END`,
    )
    .orderBy('snapshots.id', 'desc')
    .orderBy('wanted.path_key')
    .limit(MAX_SOURCES)
    .execute()
  return rows.map((row) => ({ ref: refOf(row), commit: commitOf(row.commit_id), path: pathOfKey(row.path_key) }))
}

/** When the first pause of a permitted job ends. */
export async function nextDueMs(db: Db, repos?: readonly number[]): Promise<number | undefined> {
  if (repos?.length === 0) return undefined
  let query = db
    .selectFrom('jobs')
    .select((eb) => eb.fn.min('until_ms').as('due'))
    .where(IS_NOT_READY)
    .where('state', '=', JOB_STATES.waiting)
    .where('is_runnable', '=', 1)
  if (repos !== undefined) query = query.where('id', 'in', jobsOfRepos(db, repos))
  const row = await query.executeTakeFirst()
  return row?.due ?? undefined
}

/** Ends the pause of waiting jobs, except of those whose bytes arrived wrong. */
export async function makeDue(db: Db, repos?: readonly number[]): Promise<void> {
  if (repos?.length === 0) return
  let query = db
    .updateTable('jobs')
    .set({ state: JOB_STATES.ready, until_ms: 0 })
    .where(IS_NOT_READY)
    .where('state', '=', JOB_STATES.waiting)
    .where((eb) => eb.or([eb('last_code', 'is', null), eb('last_code', '<>', 'DIGEST_MISMATCH')]))
  if (repos !== undefined) query = query.where('id', 'in', jobsOfRepos(db, repos))
  await query.execute()
}

function jobsOfRepos(db: Db, repos: readonly number[]) {
  return db
    .selectFrom('job_files')
    .innerJoin('snapshots', 'snapshots.id', 'job_files.snapshot_id')
    .select('job_files.job_id')
    .where('snapshots.repo_id', 'in', repos)
    .where(IS_PENDING)
}

/** Lets a job wait after a failure. A job that nobody wants any more is gone already; that is no error. */
export async function failJob(db: Db, jobId: number, code: string, nextTryMs: number): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ state: JOB_STATES.waiting, until_ms: nextTryMs, last_code: code })
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

/** Gives a leased job back as if it had not been leased. */
export async function releaseJob(db: Db, jobId: number): Promise<void> {
  await db
    .updateTable('jobs')
    .set((eb) => ({ state: JOB_STATES.ready, until_ms: 0, attempts: eb('attempts', '-', 1) }))
    .where('id', '=', jobId)
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

export type StoredState = QueueRow['state']

/** The state's name; an unknown number is a job that waits. */
export function jobStateOf(code: number): StoredState {
  return code === JOB_STATES.ready ? 'ready' : code === JOB_STATES.leased ? 'leased' : 'waiting'
}
