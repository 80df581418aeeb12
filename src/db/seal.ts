import type { SnapshotRow } from '../archive-rows.ts'
import { invariant } from '../domain/errors.ts'
import type { Coverage } from '../domain/manifest.ts'
import { IS_SEALABLE } from './conditions.ts'
import { holdCode } from './hold.ts'
import { copyToRepo } from './newest.ts'
import type { Db } from './schema.ts'
import { selectSnapshots, snapshotRowOf } from './snapshots.ts'

/** Snapshots that want nothing more and have no manifest that says so. */
export async function sealable(db: Db): Promise<SnapshotRow[]> {
  const rows = await selectSnapshots(db).where(IS_SEALABLE).orderBy('snapshots.id').execute()
  return rows.map(snapshotRowOf)
}

/** Notes that the manifest of a complete snapshot is on disk. */
export async function recordSealed(
  db: Db,
  snapshotId: number,
  manifest: { revision: number; coverage: Coverage; sealedAt: string },
): Promise<void> {
  const snapshot = await db
    .selectFrom('snapshots')
    .select(['missing_files', 'files_held', 'state'])
    .where('id', '=', snapshotId)
    .executeTakeFirst()
  invariant(snapshot !== undefined, `snapshot ${snapshotId} exists`)
  invariant(snapshot.missing_files === 0, `snapshot ${snapshotId} misses no wanted file when it is sealed`)
  invariant(snapshot.state !== 'blocked', `snapshot ${snapshotId} is not blocked when it is sealed`)
  await db
    .updateTable('snapshots')
    .set({
      state: 'sealed',
      coverage: manifest.coverage,
      sealed_at: manifest.sealedAt,
      manifest_revision: manifest.revision,
      sealed_files: snapshot.files_held,
      bumped_as: 0,
      hold: holdCode('none'),
    })
    .where('id', '=', snapshotId)
    .execute()
  await copyToRepo(db, snapshotId)
}
