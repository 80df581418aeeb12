import type { AdoptedBlob, SeenFile } from '../find-rows.ts'
import type { GitOid, Sha256 } from '../domain/digest.ts'
import type { Attestor } from '../domain/manifest.ts'
import { bytesOf, gitOidOf, sha256Of } from './codec.ts'
import type { BulkComplete, StoredBlob } from './bulk-complete.ts'
import { NO_GIT_OID, repaired } from './complete-jobs.ts'
import { packAttestors } from './files.ts'
import { addToCounters, exact } from './meta.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { snapshotsListing } from './listed-digests.ts'
import type { Db } from './schema.ts'
import { settleSnapshot } from './settle.ts'
import { COMMIT_GONE } from './snapshots.ts'

const FILES_PER_READ = 2000

/**
 * Notes blobs that are published: every listed file with their content is held from now on, whether or not a policy wants
 * it, and what follows from that is settled. Content that no listing has is noted as a blob all the same.
 */
export async function adoptBlobs(
  db: Db,
  bulk: BulkComplete,
  blobs: readonly AdoptedBlob[],
  at: string,
): Promise<{ files: number; snapshots: number; news: ChangeEvent[] }> {
  const rows = blobs.map(({ sha256, gitOid, size, attestedBy = [] }) => ({
    sha256: bytesOf(sha256),
    gitOid: gitOid === undefined ? NO_GIT_OID : bytesOf(gitOid),
    size,
    attestedBy,
  }))
  const listing = await snapshotsListing(
    db,
    rows.flatMap(({ sha256, gitOid }) => (gitOid.length === 0 ? [sha256] : [sha256, gitOid])),
  )
  const unheld = await unheldFiles(db, rows, listing)
  const changed = new Map<number, number>()
  const stored = { blobs: 0, blob_bytes: 0 }
  const news: ChangeEvent[] = []
  for (const row of rows) {
    const files = unheld.get(row.sha256) ?? []
    const { id, isNew } = bulk.storeBlob(storedBlob(row, files, at))
    if (isNew) stored.blobs += 1
    if (isNew) stored.blob_bytes = exact(stored.blob_bytes + row.size)
    const damage = bulk.endDamage(row.sha256)
    if (damage !== undefined) news.push(repaired(row.sha256, damage, at))
    for (const file of files) {
      await holdFile(db, file, id)
      changed.set(file.snapshot_id, (changed.get(file.snapshot_id) ?? 0) + 1)
    }
  }
  if (stored.blobs > 0) await addToCounters(db, stored)
  for (const snapshotId of changed.keys()) {
    await settleSnapshot(db, snapshotId)
    await reopenWhole(db, snapshotId)
  }
  const files = [...changed.values()].reduce((sum, count) => sum + count, 0)
  return { files, snapshots: changed.size, news }
}

function storedBlob(
  row: { sha256: Buffer; gitOid: Buffer; size: number; attestedBy: readonly Attestor[] },
  files: readonly { is_lfs: number }[],
  at: string,
): StoredBlob {
  const byHub = files.map((file): Attestor => (file.is_lfs === 1 ? 'hub-lfs-oid' : 'hub-git-oid'))
  const attestedBy = new Set([...byHub, ...row.attestedBy])
  return {
    sha256: row.sha256,
    git_oid: row.gitOid,
    size: row.size,
    stored_at: at,
    verified_ms: Date.parse(at),
    attested_by: packAttestors([...attestedBy]),
  }
}

async function holdFile(db: Db, file: { snapshot_id: number; path_key: Buffer }, blobId: number): Promise<void> {
  await db
    .updateTable('files')
    .set({ blob_id: blobId })
    .where('snapshot_id', '=', file.snapshot_id)
    .where('path_key', '=', file.path_key)
    .execute()
}

interface UnheldFile {
  readonly snapshot_id: number
  readonly path_key: Buffer
  readonly is_lfs: number
}

/**
 * Files that these blobs are the content of and that nothing holds yet, by the blob's SHA-256. Each snapshot is gone
 * through once, whatever the number of blobs.
 */
async function unheldFiles(
  db: Db,
  blobs: readonly { sha256: Buffer; gitOid: Buffer; size: number }[],
  snapshotIds: readonly number[],
): Promise<ReadonlyMap<Buffer, readonly UnheldFile[]>> {
  const key = (digest: Buffer, isLfs: number, size: number): string => `${isLfs} ${size} ${digest.toString('base64')}`
  const wanted = new Map<string, Buffer>()
  for (const { sha256, gitOid, size } of blobs) {
    wanted.set(key(sha256, 1, size), sha256)
    if (gitOid.length > 0) wanted.set(key(gitOid, 0, size), sha256)
  }
  const found = new Map<Buffer, UnheldFile[]>()
  for (const snapshotId of snapshotIds) {
    for await (const file of unheldOf(db, snapshotId)) {
      const digest = file.is_lfs === 1 ? file.lfs_oid : file.git_oid
      const sha256 = digest === null ? undefined : wanted.get(key(digest, file.is_lfs, file.size))
      if (sha256 !== undefined) found.set(sha256, [...(found.get(sha256) ?? []), file])
    }
  }
  return found
}

async function* unheldOf(db: Db, snapshotId: number) {
  for (let after = Buffer.alloc(0); ;) {
    const rows = await db
      .selectFrom('files')
      .select(['snapshot_id', 'path_key', 'is_lfs', 'size', 'lfs_oid', 'git_oid'])
      .where('snapshot_id', '=', snapshotId)
      .where('path_key', '>', after)
      .where('blob_id', 'is', null)
      .orderBy('path_key')
      .limit(FILES_PER_READ)
      .execute()
    yield* rows
    if (rows.length < FILES_PER_READ) return
    after = Buffer.from(rows.at(-1)!.path_key)
  }
}

/** A commit that upstream lost and that lacks nothing any more may be sealed after all. */
async function reopenWhole(db: Db, snapshotId: number): Promise<void> {
  await db
    .updateTable('snapshots')
    .set({ state: 'fetching', blocked_by: null })
    .where('id', '=', snapshotId)
    .where('blocked_by', '=', COMMIT_GONE)
    .where('missing_files', '=', 0)
    .execute()
}

export async function holdsBlob(db: Db, sha256: Sha256): Promise<boolean> {
  const row = await db.selectFrom('blobs').select('id').where('sha256', '=', bytesOf(sha256)).executeTakeFirst()
  return row !== undefined
}

export async function digestsOfSeen(db: Db, file: SeenFile): Promise<{ sha256: Sha256; gitOid: GitOid } | undefined> {
  const row = await db
    .selectFrom('seen_files')
    .select(['sha256', 'git_oid'])
    .where('path_digest', '=', Buffer.from(file.pathDigest, 'hex'))
    .where('stamp', '=', Buffer.from(file.stamp, 'hex'))
    .executeTakeFirst()
  return row === undefined ? undefined : { sha256: sha256Of(row.sha256), gitOid: gitOidOf(row.git_oid) }
}

export async function noteSeen(
  db: Db,
  files: readonly { readonly seen: SeenFile; readonly sha256: Sha256; readonly gitOid: GitOid }[],
): Promise<void> {
  for (const { seen, sha256, gitOid } of files) {
    const row = { stamp: Buffer.from(seen.stamp, 'hex'), sha256: bytesOf(sha256), git_oid: bytesOf(gitOid) }
    await db
      .insertInto('seen_files')
      .values({ path_digest: Buffer.from(seen.pathDigest, 'hex'), ...row })
      .onConflict((conflict) => conflict.column('path_digest').doUpdateSet(row))
      .execute()
  }
}
