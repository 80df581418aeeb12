import { sql } from 'kysely'
import type { ContentKey } from '../domain/listing.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import type { PendingSnapshot } from '../work-rows.ts'
import { contentKeyOfJob, digestOfKey, refOf } from './codec.ts'
import { IS_PENDING } from './conditions.ts'
import { UNWATCHED } from './hold.ts'
import { JOB_STATES } from './job-states.ts'
import type { Db } from './schema.ts'

/** Snapshots with missing wanted files that somebody still wants, in their present order. */
export async function pendingSnapshots(db: Db): Promise<PendingSnapshot[]> {
  const rows = await db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['snapshots.id', 'snapshots.repo_id', 'snapshots.bumped_as', 'snapshots.blocked_by'])
    .select(['repos.type', 'repos.name', 'repos.created_at', 'repos.is_new_release', 'repos.upstream'])
    .where(IS_PENDING)
    .where('snapshots.hold', '<>', UNWATCHED)
    .orderBy('snapshots.rank')
    .orderBy('snapshots.id')
    .execute()
  const sums = await missingSums(db)
  const large = await missingLarge(db)
  return rows.map((row) => ({
    snapshotId: row.id,
    repoId: row.repo_id,
    ref: refOf(row),
    createdAt: row.created_at ?? undefined,
    isNewRelease: row.is_new_release === 1,
    bumpedAs: row.bumped_as,
    upstream: row.upstream as UpstreamState,
    blockedBy: row.blocked_by ?? undefined,
    refusalCode: sums.get(row.id)?.refusal ?? undefined,
    large: large.get(row.id) ?? [],
    missingBytes: sums.get(row.id)?.bytes ?? 0,
  }))
}

interface Sums {
  readonly snapshot_id: number
  readonly bytes: number
  readonly refusal: string | null
}

/** Snapshots first, then their files. As real numbers: sums of hostile sizes would overflow an integer. */
async function missingSums(db: Db): Promise<Map<number, Sums>> {
  const sums = await sql<Sums>`SELECT snapshot_id, SUM(CAST(size AS REAL)) AS bytes,
      MIN(CASE WHEN last_code IN ('REPO_GATED', 'REPO_DISABLED', 'REPO_UNAVAILABLE', 'SNAPSHOT_UNKNOWN')
        THEN last_code END) AS refusal
    FROM (SELECT DISTINCT job_files.snapshot_id, jobs.id, jobs.size, jobs.last_code
      FROM snapshots CROSS JOIN job_files CROSS JOIN jobs
      WHERE ${IS_PENDING} AND job_files.snapshot_id = snapshots.id AND jobs.id = job_files.job_id) AS wanted
    GROUP BY snapshot_id`.execute(db)
  return new Map(sums.rows.map((row) => [row.snapshot_id, row]))
}

async function missingLarge(db: Db): Promise<Map<number, { jobId: number; key: ContentKey; size: number }[]>> {
  const rows = await db
    .selectFrom('snapshots')
    .crossJoin('job_files')
    .crossJoin('jobs')
    .whereRef('job_files.snapshot_id', '=', 'snapshots.id')
    .whereRef('jobs.id', '=', 'job_files.job_id')
    .select(['job_files.snapshot_id', 'jobs.id', 'jobs.digest', 'jobs.size'])
    .distinct()
    .where(IS_PENDING)
    .where('job_files.is_small', '=', 0)
    .where('jobs.is_small', '=', 0)
    .execute()
  const bySnapshot = new Map<number, { jobId: number; key: ContentKey; size: number }[]>()
  for (const row of rows) {
    const content = { jobId: row.id, key: contentKeyOfJob(row), size: row.size }
    const others = bySnapshot.get(row.snapshot_id)
    if (others === undefined) bySnapshot.set(row.snapshot_id, [content])
    else others.push(content)
  }
  return bySnapshot
}

/**
 * Bytes of small contents that may be fetched, none larger than `maxSize`. What failed before is not counted: sizes that
 * lie, and files that the Hub refuses, would keep room from others for ever.
 */
export async function smallBytesToFetch(db: Db, maxSize: number): Promise<number> {
  const row = await db
    .selectFrom('jobs')
    .select((eb) => eb.fn.sum<number | null>(eb.cast<number>('size', 'real')).as('bytes'))
    .where('state', 'in', [JOB_STATES.ready, JOB_STATES.leased])
    .where('is_runnable', '=', 1)
    .where('is_small', '=', 1)
    .where('last_code', 'is', null)
    .where('size', '<=', maxSize)
    .executeTakeFirst()
  return row?.bytes ?? 0
}

const KEYS_PER_STATEMENT = 500

/** Those of these contents that have no job. */
export async function unwantedKeys(db: Db, keys: readonly ContentKey[]): Promise<ContentKey[]> {
  const wanted = new Set<string>()
  for (let at = 0; at < keys.length; at += KEYS_PER_STATEMENT) {
    const digests = keys.slice(at, at + KEYS_PER_STATEMENT).map(digestOfKey)
    const rows = await db.selectFrom('jobs').select('digest').where('digest', 'in', digests).execute()
    for (const row of rows) wanted.add(row.digest.toString('hex'))
  }
  return keys.filter((key) => !wanted.has(digestOfKey(key).toString('hex')))
}
