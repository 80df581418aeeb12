import { sql, type RawBuilder } from 'kysely'
import { latestPauseEndMs } from '../domain/back-off.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { Job } from '../work-rows.ts'
import { contentKeyOfJob, digestOfKey } from './codec.ts'
import { IS_NOT_READY, IS_PENDING } from './conditions.ts'
import { idList } from './id-list.ts'
import { JOB_STATES } from './job-states.ts'
import { isPaused } from './meta.ts'
import type { Db } from './schema.ts'
import { sourcesOf } from './sources.ts'

export interface LeaseOptions {
  readonly nowMs: number
  readonly smallOnly: boolean
  readonly repos?: readonly number[]
  readonly maxBytes?: number
  readonly maxBytesOf?: ReadonlyMap<ContentKey, number>
  readonly largerThan?: number
}

/** What a batch of small contents is leased by. */
export interface BatchLeaseOptions {
  readonly nowMs: number
  readonly smallOnly: boolean
  readonly repos?: readonly number[]
  readonly maxSize: number
  readonly maxTotalBytes: number
  readonly limit: number
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
  const [job] = await takeJobs(db, [jobId])
  return job
}

/** Takes the next due contents of at most that size, in the order of `leaseJob`, as many as fit together. */
export async function leaseJobs(db: Db, options: BatchLeaseOptions): Promise<Job[]> {
  if (options.limit <= 0 || options.maxTotalBytes < 0 || (await isPaused(db))) return []
  await wakeJobs(db, options.nowMs)
  const ids: number[] = []
  const taken = new Set<string>()
  let bytesLeft = options.maxTotalBytes
  for (const isSmall of options.smallOnly ? ([1] as const) : ([1, 0] as const)) {
    for await (const rows of readyRows(db, isSmall, options)) {
      for (const row of rows) {
        const digest = row.digest.toString('latin1')
        // Two listings may promise one digest with two sizes, which makes two jobs of one content.
        if (ids.length >= options.limit || row.size > bytesLeft || taken.has(digest)) continue
        ids.push(row.id)
        taken.add(digest)
        bytesLeft -= row.size
      }
      if (ids.length >= options.limit) break
    }
  }
  return ids.length === 0 ? [] : takeJobs(db, ids)
}

interface ReadyRow {
  readonly id: number
  readonly digest: Buffer
  readonly size: number
}

/** Ready jobs of small contents in their order: in one range of the queue, or snapshot by snapshot. */
async function* readyRows(db: Db, isSmall: 0 | 1, options: BatchLeaseOptions): AsyncGenerator<ReadyRow[]> {
  const { repos, limit, maxSize } = options
  if (repos === undefined) {
    yield await db
      .selectFrom('jobs')
      .select(['id', 'digest', 'size'])
      .where('state', '=', JOB_STATES.ready)
      .where('is_runnable', '=', 1)
      .where('is_small', '=', isSmall)
      .where('size', '<=', maxSize)
      .where(SAME_CONTENT_IS_FREE)
      .orderBy('rank')
      .orderBy('id')
      .limit(limit)
      .execute()
    return
  }
  for (const snapshotId of await pendingSnapshotsOf(db, repos)) {
    yield await db
      .selectFrom('job_files')
      .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
      .select(['jobs.id', 'jobs.digest', 'jobs.size'])
      .where('job_files.snapshot_id', '=', snapshotId)
      .where('job_files.is_small', '=', isSmall)
      .where('jobs.state', '=', JOB_STATES.ready)
      .where('jobs.is_runnable', '=', 1)
      .where('jobs.size', '<=', maxSize)
      .where(SAME_CONTENT_IS_FREE)
      .limit(limit)
      .execute()
  }
}

async function pendingSnapshotsOf(db: Db, repos: readonly number[]): Promise<number[]> {
  if (repos.length === 0) return []
  const snapshots = await db
    .selectFrom('snapshots')
    .select('id')
    .where('repo_id', 'in', repos)
    .where(IS_PENDING)
    .orderBy('rank')
    .orderBy('id')
    .execute()
  return snapshots.map((row) => row.id)
}

/** Leases these jobs, in this order. */
async function takeJobs(db: Db, jobIds: readonly number[]): Promise<Job[]> {
  const rows = await db
    .updateTable('jobs')
    .set((eb) => ({ state: JOB_STATES.leased, until_ms: 0, attempts: eb('attempts', '+', 1) }))
    .where('id', 'in', idList(jobIds))
    .returningAll()
    .execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  const sources = await sourcesOf(db, jobIds)
  return jobIds.flatMap((jobId) => {
    const row = byId.get(jobId)
    if (row === undefined) return []
    return {
      jobId,
      key: contentKeyOfJob(row),
      size: row.size,
      isSmall: row.is_small === 1,
      attempts: row.attempts - 1,
      lastCode: row.last_code ?? undefined,
      sources: sources.get(jobId) ?? [],
    }
  })
}

/** Pauses that are over, and those of a clock that was set back since. A lease has no end of its own: a living process would lease what it still downloads. */
async function wakeJobs(db: Db, nowMs: number): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ state: JOB_STATES.ready, until_ms: 0 })
    .where(IS_NOT_READY)
    .where('state', '=', JOB_STATES.waiting)
    .where('is_runnable', 'in', [0, 1])
    .where((eb) => eb.or([eb('until_ms', '<=', nowMs), eb('until_ms', '>', latestPauseEndMs(nowMs))]))
    .execute()
}

/**
 * One content is fetched by one job at a time: two listings may promise one SHA-256 with two sizes, which makes two
 * jobs, and both would write the same unfinished file. The plus keeps the state out of the choice of an index: every row
 * would be compared with every leased job, of which there are hundreds, instead of being looked up by its digest.
 */
const SAME_CONTENT_IS_FREE = sql<boolean>`NOT EXISTS (SELECT 1 FROM jobs AS other
  WHERE other.digest = jobs.digest AND +other.state = ${sql.lit(JOB_STATES.leased)})`

/** More unfinished files than these are not looked at one by one: what they lack must fit as if they were not there. */
const MAX_STARTED = 100

function fits({ maxBytes, maxBytesOf, largerThan }: LeaseOptions): RawBuilder<boolean> {
  const isLarge = largerThan === undefined ? sql<boolean>`1` : sql<boolean>`jobs.size > ${largerThan}`
  if (maxBytes === undefined) return isLarge
  const others = [...(maxBytesOf ?? [])]
    .filter(([, max]) => max > maxBytes)
    .slice(0, MAX_STARTED)
    .map(([key, max]) => sql<boolean>`(jobs.digest = ${digestOfKey(key)} AND jobs.size <= ${max})`)
  return sql<boolean>`(${isLarge} AND (${sql.join([sql<boolean>`jobs.size <= ${maxBytes}`, ...others], sql` OR `)}))`
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
  const snapshots = await pendingSnapshotsOf(db, repos)
  for (const isSmall of options.smallOnly ? ([1] as const) : ([1, 0] as const)) {
    for (const snapshotId of snapshots) {
      const row = await db
        .selectFrom('job_files')
        .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
        .select('jobs.id')
        .where('job_files.snapshot_id', '=', snapshotId)
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
