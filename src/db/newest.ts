import { compareAgain } from './license-ledger.ts'
import type { Db } from './schema.ts'

/**
 * Decides again which snapshot of a repository is the newest: the one of its head, else the last that was listed.
 * Copies what `list` filters by.
 */
export async function refreshNewest(db: Db, repoId: number): Promise<void> {
  const repo = await db
    .selectFrom('repos')
    .select(['head', 'newest_snapshot_id'])
    .where('id', '=', repoId)
    .executeTakeFirst()
  if (repo === undefined) return
  const ofHead =
    repo.head === null
      ? undefined
      : await db
          .selectFrom('snapshots')
          .select('id')
          .where('repo_id', '=', repoId)
          .where('commit_id', '=', repo.head)
          .executeTakeFirst()
  const newest = ofHead ?? (await lastListed(db, repoId))
  await db
    .updateTable('repos')
    .set({ head_listed: ofHead === undefined ? 0 : 1, newest_snapshot_id: newest?.id ?? null })
    .where('id', '=', repoId)
    .execute()
  if (newest !== undefined) await copyToRepo(db, newest.id)
  if (ofHead !== undefined && ofHead.id !== repo.newest_snapshot_id) await compareAgain(db, ofHead.id)
}

async function lastListed(db: Db, repoId: number): Promise<{ id: number } | undefined> {
  return db
    .selectFrom('snapshots')
    .select('id')
    .where('repo_id', '=', repoId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Copies a snapshot's columns to its repository, if it is the newest there. */
export async function copyToRepo(db: Db, snapshotId: number): Promise<void> {
  await db
    .updateTable('repos')
    .from('snapshots')
    .set((eb) => ({
      state: eb.ref('snapshots.state'),
      bytes_listed: eb.ref('snapshots.bytes_listed'),
      formats: eb.ref('snapshots.formats'),
      quants: eb.ref('snapshots.quants'),
    }))
    .whereRef('repos.newest_snapshot_id', '=', 'snapshots.id')
    .where('snapshots.id', '=', snapshotId)
    .execute()
}
