import { setImmediate as nextTurn } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import { pathOfKey } from './codec.ts'
import type { FilesTable } from './snapshot-tables.ts'

/** What the catalog knows of one file's decision. */
export type DecisionTuple = [path: string, hasDigest: 0 | 1, take: 0 | 1, reason: number, detailId: number]

/**
 * Statements that run once a row, prepared once: through Kysely they would cost twenty times as much. To be used only
 * inside a transaction of the same file, which the caller holds.
 */
export interface Bulk {
  insertFile(file: Omit<FilesTable, 'blob_id'>): void
  decisions(snapshotId: number): DecisionTuple[]
  decide(file: Pick<FilesTable, 'snapshot_id' | 'path_key' | 'take' | 'reason' | 'detail_id' | 'is_small'>): void
  /** Id of a sentence, stored now if it is new. */
  detailId(text: string): number
  /** A repository was seen by a watch and nothing about it moved. */
  seenUnchanged(repoId: number, watchId: number, at: string): void
  /** A held blob was re-read and is whole. Unknown digests are ignored. */
  verified(sha256: Buffer, atMs: number): void
}

/** Prepares the statements; the schema must be there. */
export function prepareBulk(raw: Database.Database): Bulk {
  const insertFile = raw.prepare(
    `INSERT INTO files (snapshot_id, path_key, size, git_oid, is_lfs, lfs_oid, xet_hash, is_small, take, reason, detail_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  // As text the paths arrive four times as fast as their keys do.
  const decisions = raw
    .prepare<[number], DecisionTuple>(
      `SELECT CAST(path_key AS TEXT), CASE is_lfs WHEN 1 THEN lfs_oid IS NOT NULL ELSE git_oid IS NOT NULL END,
         take, reason, detail_id
       FROM files WHERE snapshot_id = ? ORDER BY path_key`,
    )
    .raw()
  const pathKeys = raw
    .prepare<[number], Buffer>('SELECT path_key FROM files WHERE snapshot_id = ? ORDER BY path_key')
    .pluck()
  const decide = raw.prepare(
    'UPDATE files SET take = ?, reason = ?, detail_id = ?, is_small = ? WHERE snapshot_id = ? AND path_key = ?',
  )
  const findDetail = raw.prepare<[string], number>('SELECT id FROM details WHERE text = ?').pluck()
  const insertDetail = raw.prepare<[string], number>('INSERT INTO details (text) VALUES (?) RETURNING id').pluck()
  const sighting = raw.prepare(
    `INSERT INTO sightings (repo_id, seen_at) VALUES (?, ?)
     ON CONFLICT (repo_id) DO UPDATE SET seen_at = excluded.seen_at`,
  )
  const forgetMisses = raw.prepare(
    `UPDATE repos SET misses = 0, first_miss_at = NULL, watch_id = ? WHERE id = ? AND (misses > 0 OR watch_id <> ?)`,
  )
  const verifyBlob = raw
    .prepare<[number, Buffer], number>('UPDATE blobs SET verified_ms = ? WHERE sha256 = ? RETURNING id')
    .pluck()
  const verifyHolders = raw.prepare('UPDATE snapshot_blobs SET verified_ms = ? WHERE blob_id = ?')
  return {
    insertFile(file) {
      insertFile.run(
        file.snapshot_id,
        file.path_key,
        file.size,
        file.git_oid,
        file.is_lfs,
        file.lfs_oid,
        file.xet_hash,
        file.is_small,
        file.take,
        file.reason,
        file.detail_id,
      )
    },
    decisions(snapshotId) {
      const rows = decisions.all(snapshotId)
      // The replacement character may stand for bytes that are no UTF-8: then only the keys tell the names apart.
      if (!rows.some(([path]) => path.includes('\ufffd'))) return rows
      const paths = pathKeys.all(snapshotId).map(pathOfKey)
      return rows.map(([path, ...rest], at) => [paths[at] ?? path, ...rest])
    },
    decide(file) {
      decide.run(file.take, file.reason, file.detail_id, file.is_small, file.snapshot_id, file.path_key)
    },
    detailId: (text) => findDetail.get(text) ?? Number(insertDetail.get(text)),
    seenUnchanged(repoId, watchId, at) {
      sighting.run(repoId, at)
      forgetMisses.run(watchId, repoId, watchId)
    },
    verified(sha256, atMs) {
      const blobId = verifyBlob.get(atMs, sha256)
      if (blobId !== undefined) verifyHolders.run(atMs, blobId)
    },
  }
}

const ROWS_PER_TURN = 1000

/**
 * Runs `step` for every item and lets the event loop breathe in between: the statements are synchronous, and the
 * transaction around them stays one.
 */
export async function forEachYielding<T>(items: readonly T[], step: (item: T) => void): Promise<void> {
  for (let at = 0; at < items.length; at += ROWS_PER_TURN) {
    if (at > 0) await nextTurn()
    for (const item of items.slice(at, at + ROWS_PER_TURN)) step(item)
  }
}
