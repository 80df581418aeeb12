import { sql } from 'kysely'
import type { ScheduleEntry } from '../work-rows.ts'
import { IS_PENDING } from './conditions.ts'
import { holdCode } from './hold.ts'
import type { Db } from './schema.ts'
import { refreshJobs } from './settle.ts'

/** Gives pending snapshots their rank and hold, and their jobs the best of the snapshots that want them. */
export async function applySchedule(db: Db, entries: readonly ScheduleEntry[]): Promise<void> {
  const rows = await db.selectFrom('snapshots').select(['id', 'rank', 'hold']).where(IS_PENDING).execute()
  const known = new Map(rows.map((row) => [row.id, row]))
  const moved: number[] = []
  for (const entry of entries) {
    const before = known.get(entry.snapshotId)
    const hold = holdCode(entry.hold)
    if (before === undefined || (before.rank === entry.rank && before.hold === hold)) continue
    await db.updateTable('snapshots').set({ rank: entry.rank, hold }).where('id', '=', entry.snapshotId).execute()
    moved.push(entry.snapshotId)
  }
  await refreshJobsOf(db, moved)
}

/** Puts a repository's pending snapshots in front of everything, also of those that were put there before. Returns how many there are. */
export async function bump(db: Db, repoId: number): Promise<number> {
  const first = await db
    .selectFrom('snapshots')
    .select((eb) => [eb.fn.min<number | null>('rank').as('rank'), eb.fn.max<number | null>('bumped_as').as('bump')])
    .where(IS_PENDING)
    .executeTakeFirst()
  const moved = await db
    .updateTable('snapshots')
    .set({ bumped_as: (first?.bump ?? 0) + 1, rank: (first?.rank ?? 0) - 1 })
    .where('repo_id', '=', repoId)
    .where(IS_PENDING)
    .returning('id')
    .execute()
  await refreshJobsOf(
    db,
    moved.map((row) => row.id),
  )
  return moved.length
}

const SNAPSHOTS_PER_STATEMENT = 5000

async function refreshJobsOf(db: Db, snapshotIds: readonly number[]): Promise<void> {
  for (let at = 0; at < snapshotIds.length; at += SNAPSHOTS_PER_STATEMENT) {
    const some = sql.join(snapshotIds.slice(at, at + SNAPSHOTS_PER_STATEMENT))
    await refreshJobs(db, sql`SELECT job_id FROM job_files WHERE snapshot_id IN (${some})`)
  }
}
