import { sql } from 'kysely'
import type { SnapshotState } from '../archive-rows.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import type { FileNameQuery, ListedContents, WhereListed } from '../find-rows.ts'
import type { GitOid, Sha256 } from '../domain/digest.ts'
import { matchGlob } from '../domain/glob.ts'
import { bytesOf, commitOf, gitOidOf, pathKeyOf, pathOfKey, refOf, sha256Of, unpackLicense } from './codec.ts'
import { hasPrefix, packPrefixes, prefixOf, unpackPrefixes } from './digest-prefixes.ts'
import type { Db } from './schema.ts'
import type { FilesTable } from './snapshot-tables.ts'

const SNAPSHOTS_PER_READ = 500
const FILES_PER_READ = 5000

/** The digest that a listing promises for a file's content: SHA-256 of an LFS file, git id of a small one. */
function contentDigest(file: Pick<FilesTable, 'is_lfs' | 'lfs_oid' | 'git_oid'>): Buffer | null {
  return file.is_lfs === 1 ? file.lfs_oid : file.git_oid
}

/** Notes which content a snapshot lists. */
export async function noteListedDigests(
  db: Db,
  snapshotId: number,
  files: readonly Pick<FilesTable, 'is_lfs' | 'lfs_oid' | 'git_oid'>[],
): Promise<void> {
  const prefixes = packPrefixes(
    files.flatMap((file) => {
      const digest = contentDigest(file)
      return digest === null ? [] : [prefixOf(digest)]
    }),
  )
  await db
    .insertInto('listed_digests')
    .values({ snapshot_id: snapshotId, prefixes })
    .onConflict((conflict) => conflict.column('snapshot_id').doUpdateSet({ prefixes }))
    .execute()
}

/** The same after digests of a snapshot became known. */
export async function noteAddedDigests(db: Db, snapshotId: number): Promise<void> {
  const files = await db
    .selectFrom('files')
    .select(['is_lfs', 'lfs_oid', 'git_oid'])
    .where('snapshot_id', '=', snapshotId)
    .execute()
  await noteListedDigests(db, snapshotId, files)
}

/** Snapshots that may list one of these digests. */
export async function snapshotsListing(db: Db, digests: readonly Buffer[]): Promise<number[]> {
  const wanted = new Set(digests.map(prefixOf))
  const found: number[] = []
  for await (const { snapshot_id: id, prefixes } of eachSnapshot(db)) {
    if (mayList(prefixes, wanted)) found.push(id)
  }
  return found
}

function mayList(prefixes: Buffer, wanted: ReadonlySet<number>): boolean {
  if (wanted.size <= 8) {
    for (const prefix of wanted) if (hasPrefix(prefixes, prefix)) return true
    return false
  }
  for (const prefix of unpackPrefixes(prefixes)) if (wanted.has(prefix)) return true
  return false
}

async function* eachSnapshot(db: Db): AsyncGenerator<{ snapshot_id: number; prefixes: Buffer }> {
  for (let after = 0; ;) {
    const rows = await db
      .selectFrom('listed_digests')
      .selectAll()
      .where('snapshot_id', '>', after)
      .orderBy('snapshot_id')
      .limit(SNAPSHOTS_PER_READ)
      .execute()
    yield* rows
    if (rows.length < SNAPSHOTS_PER_READ) return
    after = rows.at(-1)!.snapshot_id
  }
}

/** Every size and content digest of the listings: 16 bytes of memory a file. */
export async function listedContents(db: Db): Promise<ListedContents> {
  const distinct = await db.selectFrom('files').select('size').distinct().execute()
  const sizes = new Set(distinct.map((row) => row.size))
  const packed: number[] = []
  for await (const { prefixes } of eachSnapshot(db)) for (const prefix of unpackPrefixes(prefixes)) packed.push(prefix)
  const sorted = Float64Array.from(packed).sort()
  const has = (hex: Sha256 | GitOid): boolean => isAmong(sorted, prefixOf(bytesOf(hex)))
  return { hasSize: (size) => sizes.has(size), mayList: (sha256, gitOid) => has(sha256) || has(gitOid) }
}

function isAmong(sorted: Float64Array, wanted: number): boolean {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return sorted[low] === wanted
}

/** Files of any listing with this content, by snapshot. A SHA-256 also finds small files whose bytes are held. */
export async function whereListed(
  db: Db,
  content: { sha256: Sha256 | undefined; gitOid: GitOid | undefined },
  limit: number,
): Promise<WhereListed[]> {
  const blob = await heldBlob(db, content)
  const sha256 = blob?.sha256 ?? (content.sha256 === undefined ? undefined : bytesOf(content.sha256))
  const ofBlob = blob === undefined || blob.git_oid.length === 0 ? undefined : blob.git_oid
  const gitOid = ofBlob ?? (content.gitOid === undefined ? undefined : bytesOf(content.gitOid))
  const digests = [sha256, gitOid].filter((digest) => digest !== undefined)
  const found: WhereListed[] = []
  for (const id of await snapshotsListing(db, digests)) {
    if (found.length >= limit) break
    const rows = await selectWhere(db)
      .where('files.snapshot_id', '=', id)
      .where((eb) =>
        eb.or([
          ...(sha256 === undefined ? [] : [eb.and([eb('files.is_lfs', '=', 1), eb('files.lfs_oid', '=', sha256)])]),
          ...(gitOid === undefined ? [] : [eb.and([eb('files.is_lfs', '=', 0), eb('files.git_oid', '=', gitOid)])]),
        ]),
      )
      .orderBy('files.path_key')
      .limit(limit - found.length)
      .execute()
    found.push(...rows.map(whereOf))
  }
  return found
}

async function heldBlob(db: Db, content: { sha256: Sha256 | undefined; gitOid: GitOid | undefined }) {
  if (content.sha256 === undefined && content.gitOid === undefined) return undefined
  let query = db.selectFrom('blobs').select(['sha256', 'git_oid'])
  if (content.sha256 !== undefined) query = query.where('sha256', '=', bytesOf(content.sha256))
  else if (content.gitOid !== undefined) query = query.where('git_oid', '=', bytesOf(content.gitOid))
  return query.limit(1).executeTakeFirst()
}

/**
 * Files of any listing whose path, or its last part, fits a pattern: every listed file is looked at, those that lack the
 * longest plain text of the pattern only by the database.
 */
export async function whereNamed(db: Db, query: FileNameQuery, limit: number): Promise<WhereListed[]> {
  const plain = query.pattern.split(/[*?]/).toSorted((a, b) => b.length - a.length)[0]!
  const found: WhereListed[] = []
  let after: { snapshot: number; path: Buffer } = { snapshot: 0, path: Buffer.alloc(0) }
  for (;;) {
    const from = after
    const rows = await selectWhere(db)
      .where(sql<boolean>`(files.snapshot_id, files.path_key) > (${from.snapshot}, ${from.path})`)
      .where(sql<boolean>`INSTR(files.path_key, ${pathKeyOf(plain)}) > 0`)
      .orderBy('files.snapshot_id')
      .orderBy('files.path_key')
      .limit(FILES_PER_READ)
      .execute()
    for (const row of rows) {
      const path = pathOfKey(row.path_key)
      const name = path.slice(path.lastIndexOf('/') + 1)
      if (!matchGlob(query.pattern, path) && !matchGlob(query.pattern, name)) continue
      found.push(whereOf(row))
      if (found.length >= limit) return found
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < FILES_PER_READ) return found
    after = { snapshot: last.snapshot_id, path: last.path_key }
  }
}

/** Bytes may be held because another file has them, though nobody wants this one. */
const HELD_SHA256 = sql<Buffer | null>`COALESCE(blobs.sha256,
  (SELECT same.sha256 FROM blobs AS same WHERE files.is_lfs = 1 AND same.sha256 = files.lfs_oid),
  (SELECT same.sha256 FROM blobs AS same
    WHERE files.is_lfs = 0 AND same.git_oid = files.git_oid AND same.size = files.size LIMIT 1))`

function selectWhere(db: Db) {
  return db
    .selectFrom('files')
    .innerJoin('snapshots', 'snapshots.id', 'files.snapshot_id')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .leftJoin('licenses', 'licenses.snapshot_id', 'files.snapshot_id')
    .leftJoin('blobs', 'blobs.id', 'files.blob_id')
    .select(['files.snapshot_id', 'files.path_key', 'files.size', 'files.is_lfs', 'files.lfs_oid', 'files.git_oid'])
    .select(['snapshots.commit_id', 'snapshots.name as listed_as', 'snapshots.state', 'snapshots.id'])
    .select(['repos.type', 'repos.name', 'repos.license', 'repos.upstream', 'licenses.stated'])
    .select(HELD_SHA256.as('sha256'))
}

type WhereRow = Awaited<ReturnType<ReturnType<typeof selectWhere>['execute']>>[number]

function whereOf(row: WhereRow): WhereListed {
  const sha256 = row.sha256 ?? (row.is_lfs === 1 ? row.lfs_oid : null)
  return {
    ref: refOf(row),
    listedAs: refOf({ type: row.type, name: row.listed_as }),
    commit: commitOf(row.commit_id),
    path: pathOfKey(row.path_key),
    size: row.size,
    sha256: sha256 === null ? undefined : sha256Of(sha256),
    gitOid: row.git_oid === null ? undefined : gitOidOf(row.git_oid),
    held: row.sha256 !== null,
    snapshotState: row.state as SnapshotState,
    upstream: row.upstream as UpstreamState,
    license: unpackLicense(row.stated ?? row.license),
    licenseNow: unpackLicense(row.license),
  }
}
