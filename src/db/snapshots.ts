import type { SnapshotRow, SnapshotState } from '../archive-rows.ts'
import type { Coverage } from '../domain/manifest.ts'
import type { CommitId } from '../domain/digest.ts'
import type { RepoName, RepoType } from '../domain/repo.ts'
import type { DecidedSnapshot } from '../work-rows.ts'
import { bytesOf, commitOf, hubIdOf, refOf } from './codec.ts'
import { IS_PENDING } from './conditions.ts'
import { holdOf } from './hold.ts'
import { copyToRepo } from './newest.ts'
import type { Db } from './schema.ts'
import type { SnapshotsTable } from './snapshot-tables.ts'

export type StoredSnapshot = Omit<SnapshotsTable, 'id'> & { id: number; type: string; hub_id: Buffer }

/** Every column of snapshots with the identity of their repositories. */
export function selectSnapshots(db: Db) {
  return db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .selectAll('snapshots')
    .select(['repos.type', 'repos.hub_id'])
}

export function snapshotRowOf(row: StoredSnapshot): SnapshotRow {
  return {
    snapshotId: row.id,
    repoId: row.repo_id,
    ref: { type: row.type as RepoType, name: row.name as RepoName },
    hubId: hubIdOf(row.hub_id),
    commit: commitOf(row.commit_id),
    state: row.state as SnapshotState,
    blockedBy: row.blocked_by ?? undefined,
    coverage: row.coverage as Coverage,
    hold: holdOf(row.hold),
    rank: row.rank,
    listedAt: row.listed_at,
    sealedAt: row.sealed_at ?? undefined,
    manifestRevision: row.manifest_revision,
    filesListed: row.files_listed,
    bytesListed: row.bytes_listed,
    filesWanted: row.files_wanted,
    bytesWanted: row.bytes_wanted,
    filesHeld: row.files_held,
    bytesHeld: row.bytes_held,
  }
}

export async function snapshotByCommit(db: Db, repoId: number, commit: CommitId): Promise<SnapshotRow | undefined> {
  const row = await selectSnapshots(db)
    .where('snapshots.repo_id', '=', repoId)
    .where('snapshots.commit_id', '=', bytesOf(commit))
    .executeTakeFirst()
  return row === undefined ? undefined : snapshotRowOf(row)
}

/** Snapshots whose commit starts with these hex digits; none for fewer than 7 or for anything else. */
export async function snapshotsByPrefix(db: Db, repoId: number, prefix: string): Promise<SnapshotRow[]> {
  if (!/^[0-9a-f]{7,40}$/i.test(prefix)) return []
  const rows = await selectSnapshots(db)
    .where('snapshots.repo_id', '=', repoId)
    .where('snapshots.commit_id', '>=', Buffer.from(prefix.padEnd(40, '0'), 'hex'))
    .where('snapshots.commit_id', '<=', Buffer.from(prefix.padEnd(40, 'f'), 'hex'))
    .orderBy('snapshots.commit_id')
    .execute()
  return rows.map(snapshotRowOf)
}

/** Every pending snapshot, and the newest one of every repository. */
export async function decidedSnapshots(db: Db): Promise<DecidedSnapshot[]> {
  const columns = ['snapshots.id', 'snapshots.policy_key', 'snapshots.rank', 'snapshots.hold'] as const
  const pending = await db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .innerJoin('watches', 'watches.id', 'repos.watch_id')
    .select([...columns, 'repos.type', 'repos.name', 'watches.key as watch'])
    .where(IS_PENDING)
    .execute()
  const settled: typeof pending = []
  for (const watch of await db.selectFrom('watches').select(['id', 'key']).execute()) {
    const rows = await db
      .selectFrom('repos')
      .innerJoin('snapshots', 'snapshots.id', 'repos.newest_snapshot_id')
      .select([...columns, 'repos.type', 'repos.name'])
      .where('repos.watch_id', '=', watch.id)
      .where('snapshots.missing_files', '=', 0)
      .execute()
    settled.push(...rows.map((row) => ({ ...row, watch: watch.key })))
  }
  const decided = (row: (typeof pending)[number], isPending: boolean): DecidedSnapshot => ({
    snapshotId: row.id,
    ref: refOf(row),
    watch: row.watch,
    policyKey: row.policy_key,
    isPending,
    rank: row.rank,
    hold: holdOf(row.hold),
  })
  return [...pending.map((row) => decided(row, true)), ...settled.map((row) => decided(row, false))]
}

/** A commit that was squashed away: the Hub never offers it again. What it lacks may still come from other commits. */
export const COMMIT_GONE = 'SNAPSHOT_UNKNOWN'

/** Marks a snapshot that must not be sealed. What it wants is fetched all the same: each file proves itself. */
export async function blockSnapshot(db: Db, snapshotId: number, code: string): Promise<void> {
  await db.updateTable('snapshots').set({ state: 'blocked', blocked_by: code }).where('id', '=', snapshotId).execute()
  await copyToRepo(db, snapshotId)
}

/** Snapshots blocked with one of these codes are open again; a complete one is sealable at once. */
export async function unblockSnapshots(db: Db, codes: readonly string[]): Promise<void> {
  const blocked = await db
    .updateTable('snapshots')
    .set({ state: 'fetching', blocked_by: null })
    .where('state', '=', 'blocked')
    .where('blocked_by', 'in', [...codes])
    .returning('id')
    .execute()
  for (const { id } of blocked) await copyToRepo(db, id)
}
