import { sql } from 'kysely'
import type { RescueRow, RescueStart } from '../work-rows.ts'
import { commitOf, refOf } from './codec.ts'
import { makeDue } from './jobs.ts'
import { exact, readMeta, writeMeta } from './meta.ts'
import { bump } from './schedule.ts'
import type { Db } from './schema.ts'

const CURSOR = 'rescued_seq'

/** Number of the last event that was looked at for what it endangers. */
export async function rescueCursor(db: Db): Promise<number> {
  return Number((await readMeta(db, CURSOR)) ?? 0)
}

/** Puts repositories in front, the first of them first of all, and asks for their old commits. Never moves the cursor back. */
export async function startRescues(db: Db, { repos, at, upToSeq }: RescueStart): Promise<number> {
  let moved = 0
  for (const { repoId, cause } of repos.toReversed()) {
    const values = { cause, asked_at: at, commits_tried: 0, commits_found: 0, done_at: null }
    await db
      .insertInto('rescues')
      .values({ repo_id: repoId, ...values })
      .onConflict((conflict) => conflict.column('repo_id').doUpdateSet(values))
      .execute()
    moved += await bump(db, repoId)
  }
  await makeDue(
    db,
    repos.flatMap(({ repoId, isDueNow }) => (isDueNow ? [repoId] : [])),
  )
  if (upToSeq !== undefined && upToSeq > (await rescueCursor(db))) await writeMeta(db, CURSOR, String(upToSeq))
  return moved
}

/** Notes how far a rescue is; `doneAt` ends it. */
export async function noteRescue(
  db: Db,
  repoId: number,
  progress: { readonly tried: number; readonly found: number; readonly doneAt: string | undefined },
): Promise<void> {
  await db
    .updateTable('rescues')
    .set({ commits_tried: progress.tried, commits_found: progress.found, done_at: progress.doneAt ?? null })
    .where('repo_id', '=', repoId)
    .execute()
}

/** Rescues with what is still missing, those that are not done first; the newest first in both. */
export async function rescues(
  db: Db,
  filter: { readonly pendingOnly: boolean; readonly limit: number },
): Promise<RescueRow[]> {
  const select = () =>
    db
      .selectFrom('rescues')
      .innerJoin('repos', 'repos.id', 'rescues.repo_id')
      .selectAll('rescues')
      .select(['repos.type', 'repos.name', 'repos.head', 'repos.upstream'])
  const pending = await select().where('done_at', 'is', null).orderBy('asked_at', 'desc').limit(filter.limit).execute()
  const left = filter.pendingOnly ? 0 : filter.limit - pending.length
  const done =
    left === 0 ? [] : await select().where('done_at', 'is not', null).orderBy('done_at', 'desc').limit(left).execute()
  const rows: RescueRow[] = []
  for (const row of [...pending, ...done]) {
    rows.push({
      repoId: row.repo_id,
      ref: refOf(row),
      head: row.head === null ? undefined : commitOf(row.head),
      upstream: row.upstream as RescueRow['upstream'],
      cause: row.cause,
      askedAt: row.asked_at,
      commitsTried: row.commits_tried,
      commitsFound: row.commits_found,
      doneAt: row.done_at ?? undefined,
      ...(await missingOf(db, row.repo_id)),
    })
  }
  return rows
}

/** Wanted contents of a repository's snapshots that are not held, each once. */
async function missingOf(db: Db, repoId: number): Promise<{ missingFiles: number; missingBytes: number }> {
  // As real numbers: sums of hostile sizes would overflow an integer.
  const found = await sql<{ files: number; bytes: number }>`
    SELECT COUNT(*) AS files, COALESCE(SUM(CAST(size AS REAL)), 0) AS bytes FROM jobs WHERE id IN (
      SELECT job_files.job_id FROM job_files JOIN snapshots ON snapshots.id = job_files.snapshot_id
      WHERE snapshots.repo_id = ${repoId})`.execute(db)
  const [row] = found.rows
  return { missingFiles: row?.files ?? 0, missingBytes: exact(row?.bytes ?? 0) }
}
