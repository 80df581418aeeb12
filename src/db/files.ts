import type { FileRow } from '../archive-rows.ts'
import { DECISION_REASONS } from '../domain/decision.ts'
import { sha256Of, gitOidOf, pathKeyOf, pathOfKey, unpackHash } from './codec.ts'
import type { Sibling } from '../domain/listing.ts'
import { ATTESTORS, type Attestor } from '../domain/manifest.ts'
import { unpackDetail } from './detail.ts'
import type { Db } from './schema.ts'
import type { FilesTable } from './snapshot-tables.ts'

/** A page of a snapshot's files in path order (by code point). */
export async function filesPage(
  db: Db,
  snapshotId: number,
  page: { after: string | undefined; limit: number },
): Promise<FileRow[]> {
  let query = selectFiles(db, snapshotId).orderBy('files.path_key').limit(page.limit)
  if (page.after !== undefined) query = query.where('files.path_key', '>', pathKeyOf(page.after))
  return (await query.execute()).map(fileRowOf)
}

export async function fileByPath(db: Db, snapshotId: number, path: string): Promise<FileRow | undefined> {
  const row = await selectFiles(db, snapshotId).where('files.path_key', '=', pathKeyOf(path)).executeTakeFirst()
  return row === undefined ? undefined : fileRowOf(row)
}

function selectFiles(db: Db, snapshotId: number) {
  return db
    .selectFrom('files')
    .innerJoin('details', 'details.id', 'files.detail_id')
    .leftJoin('blobs', 'blobs.id', 'files.blob_id')
    .selectAll('files')
    .select(['details.text', 'blobs.sha256', 'blobs.attested_by'])
    .where('files.snapshot_id', '=', snapshotId)
}

type StoredFile = FilesTable & {
  text: string
  sha256: Buffer | null
  attested_by: number | null
}

function fileRowOf(row: StoredFile): FileRow {
  const sibling = siblingOf(row)
  return {
    ...sibling,
    take: row.take === 1,
    reason: DECISION_REASONS[row.reason] ?? 'not-decided',
    detail: unpackDetail(row.text, sibling.path),
    sha256: row.sha256 === null ? undefined : sha256Of(row.sha256),
    attestedBy: attestorsOf(row),
  }
}

/**
 * Who vouched for this file: the Hub by the digest it promised for this very file, which is how it came to be held, and
 * a witness for the bytes. What the Hub promised for the same bytes under another name is not claimed here.
 */
function attestorsOf(row: StoredFile): Attestor[] {
  if (row.sha256 === null) return []
  const byHub: Attestor = row.is_lfs === 1 ? 'hub-lfs-oid' : 'hub-git-oid'
  return unpackAttestors(row.attested_by ?? 0).includes('witness') ? [byHub, 'witness'] : [byHub]
}

/** A file as it was listed. */
export function siblingOf(row: FilesTable): Sibling {
  return {
    path: pathOfKey(row.path_key),
    size: row.size,
    gitOid: row.git_oid === null ? undefined : gitOidOf(row.git_oid),
    isLfs: row.is_lfs === 1,
    lfsOid: row.lfs_oid === null ? undefined : sha256Of(row.lfs_oid),
    xetHash: unpackHash(row.xet_hash),
  }
}

/** Attestors as bits by their position in ATTESTORS. */
export function packAttestors(attestors: readonly Attestor[]): number {
  return attestors.reduce((bits, attestor) => bits | (1 << ATTESTORS.indexOf(attestor)), 0)
}

function unpackAttestors(bits: number): Attestor[] {
  return ATTESTORS.filter((_attestor, at) => (bits & (1 << at)) !== 0)
}
