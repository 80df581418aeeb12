import { sql } from 'kysely'
import type { Damage } from '../work-rows.ts'
import { bytesOf } from './codec.ts'
import { addToCounters } from './meta.ts'
import type { Db } from './schema.ts'
import { settleSnapshot } from './settle.ts'

/**
 * Blobs that are not what they were: nothing holds them any more, and whatever held them wants them again. Returns those
 * that were not noted before. The damage is forgotten when the bytes are published again.
 */
export async function noteDamage<D extends Damage>(db: Db, damage: readonly D[], at: string): Promise<D[]> {
  const fresh: D[] = []
  const affected = new Set<number>()
  for (const one of damage) {
    const noted = await db
      .insertInto('damaged_blobs')
      .values({ sha256: bytesOf(one.sha256), found: one.found, found_at: at })
      .onConflict((conflict) => conflict.doNothing())
      .returning('found')
      .executeTakeFirst()
    if (noted === undefined) continue
    fresh.push(one)
    for (const snapshotId of await forgetBlob(db, bytesOf(one.sha256))) affected.add(snapshotId)
  }
  for (const snapshotId of affected) await settleSnapshot(db, snapshotId)
  return fresh
}

/** Returns the snapshots that held it. */
async function forgetBlob(db: Db, sha256: Buffer): Promise<number[]> {
  const blob = await db.selectFrom('blobs').select(['id', 'size']).where('sha256', '=', sha256).executeTakeFirst()
  if (blob === undefined) return []
  const holders = await db.selectFrom('snapshot_blobs').select('snapshot_id').where('blob_id', '=', blob.id).execute()
  const snapshotIds = holders.map((row) => row.snapshot_id)
  for (const snapshotId of snapshotIds) {
    // What a manifest holds is wanted, whatever the policy says today: a repair takes nothing back.
    await sql`UPDATE files SET blob_id = NULL, take = 1
      WHERE snapshot_id = ${snapshotId} AND blob_id = ${blob.id}`.execute(db)
  }
  await db.deleteFrom('snapshot_blobs').where('blob_id', '=', blob.id).execute()
  await db.deleteFrom('blobs').where('id', '=', blob.id).execute()
  await addToCounters(db, { blobs: -1, blob_bytes: -blob.size })
  return snapshotIds
}
