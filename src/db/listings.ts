import { DECISION_REASONS, type FileDecision } from '../domain/decision.ts'
import type { CommitId } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { contentKeyOf, type Sibling } from '../domain/listing.ts'
import { licenseEntryOf } from '../domain/license-entry.ts'
import { quantOf, weightFormatOf } from '../domain/weight-file.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { ListingRecord } from '../work-rows.ts'
import { forEachYielding, type Bulk } from './bulk.ts'
import { bytesOf, packHash, pathKeyOf } from './codec.ts'
import { packDetail } from './detail.ts'
import { appendEvents } from './events.ts'
import { siblingOf } from './files.ts'
import { UNRANKED } from './hold.ts'
import { recordLicense } from './license-ledger.ts'
import { noteAddedDigests, noteListedDigests } from './listed-digests.ts'
import { addToCounters, exact } from './meta.ts'
import { refreshNewest } from './newest.ts'
import type { Db } from './schema.ts'
import { settleSnapshot } from './settle.ts'
import type { FilesTable } from './snapshot-tables.ts'

/** Writes a listing with its decisions. A snapshot that is already there stays as it is, and no event is logged. */
export async function recordListing(
  db: Db,
  bulk: Bulk,
  archiveId: string,
  record: ListingRecord,
): Promise<{ snapshotId: number; events: LoggedEvent[] }> {
  const { listing, repoId } = record
  const known = await findSnapshot(db, repoId, listing.commit)
  if (known !== undefined) return { snapshotId: known, events: [] }
  const snapshotId = await insertSnapshot(db, record)
  const rows = fileRows(bulk, snapshotId, record)
  await forEachYielding(rows, (row) => bulk.insertFile(row))
  await recordLicense(db, snapshotId, licenseEntryOf(listing, parseSpdx))
  await noteListedDigests(db, snapshotId, rows)
  await settleSnapshot(db, snapshotId)
  await refreshNewest(db, repoId)
  const bytes = rows.reduce((sum, row) => sum + row.size, 0)
  await addToCounters(db, { snapshots: 1, files_listed: rows.length, bytes_listed: bytes })
  return { snapshotId, events: await appendEvents(db, archiveId, record.events) }
}

async function findSnapshot(db: Db, repoId: number, commit: CommitId): Promise<number | undefined> {
  const row = await db
    .selectFrom('snapshots')
    .select('id')
    .where('repo_id', '=', repoId)
    .where('commit_id', '=', bytesOf(commit))
    .executeTakeFirst()
  return row?.id
}

async function insertSnapshot(db: Db, { listing, repoId, policyKey }: ListingRecord): Promise<number> {
  const { id } = await db
    .insertInto('snapshots')
    .values({
      repo_id: repoId,
      commit_id: bytesOf(listing.commit),
      name: listing.repo.name,
      state: 'listed',
      coverage: 'selection',
      hold: 0,
      rank: UNRANKED,
      bumped_as: 0,
      policy_key: policyKey,
      listed_at: listing.observedAt,
      manifest_revision: 0,
      sealed_files: 0,
      files_listed: listing.files.length,
      bytes_listed: exact(listing.files.reduce((sum, file) => sum + file.size, 0)),
      files_wanted: 0,
      bytes_wanted: 0,
      files_held: 0,
      bytes_held: 0,
      missing_files: 0,
      missing_large_bytes: 0,
      files_undigested: listing.files.filter((file) => contentKeyOf(file) === undefined).length,
      read_at: listing.observedAt,
      formats: distinctJson(listing.files.map(weightFormatOf)),
      quants: distinctJson(listing.files.map((file) => quantOf(file.path))),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

function distinctJson(values: readonly (string | undefined)[]): string {
  const distinct = new Set(values.filter((value) => value !== undefined))
  return JSON.stringify([...distinct].sort())
}

/** The rows of a listing in the order of their key: the table is clustered by it and then only ever appended to. */
function fileRows(bulk: Bulk, snapshotId: number, record: ListingRecord): Omit<FilesTable, 'blob_id'>[] {
  const decisions = new Map(record.decisions.map((decision) => [decision.path, decision]))
  const encode = decisionEncoder(bulk)
  const rows = record.listing.files.map((file) => ({
    snapshot_id: snapshotId,
    path_key: pathKeyOf(file.path),
    size: file.size,
    git_oid: file.gitOid === undefined ? null : bytesOf(file.gitOid),
    is_lfs: file.isLfs ? (1 as const) : (0 as const),
    lfs_oid: file.lfsOid === undefined ? null : bytesOf(file.lfsOid),
    xet_hash: packHash(file.xetHash),
    is_small: record.isSmall(file) ? (1 as const) : (0 as const),
    ...encode(file.path, decisions.get(file.path), contentKeyOf(file) !== undefined),
  }))
  return rows.sort((a, b) => Buffer.compare(a.path_key, b.path_key))
}

type DecisionColumns = Pick<FilesTable, 'take' | 'reason' | 'detail_id'>

const NOT_DECIDED = { take: false, reason: 'not-decided', detail: 'no rule has decided about this file' } as const
const DIGEST_UNKNOWN = {
  take: false,
  reason: 'digest-unknown',
  detail: 'the Hub promised no digest for this file, so nothing could prove its bytes',
} as const

/** Turns decisions into columns. A file whose bytes nothing could prove is never taken, whatever the policy says. */
function decisionEncoder(
  bulk: Bulk,
): (path: string, decision: FileDecision | undefined, hasDigest: boolean) => DecisionColumns {
  const detailIds = new Map<string, number>()
  return (path, decision, hasDigest) => {
    const { take, reason, detail } = decision?.take === true && !hasDigest ? DIGEST_UNKNOWN : (decision ?? NOT_DECIDED)
    const text = packDetail(detail, path)
    let detailId = detailIds.get(text)
    if (detailId === undefined) {
      detailId = bulk.detailId(text)
      detailIds.set(text, detailId)
    }
    return { take: take ? 1 : 0, reason: DECISION_REASONS.indexOf(reason), detail_id: detailId }
  }
}

/** Adds digests that the Hub withheld when the commit was listed; one that is known is never replaced. */
export async function addDigests(db: Db, snapshotId: number, files: readonly Sibling[], at: string): Promise<void> {
  for (const file of files) {
    if (file.lfsOid === undefined) continue
    await db
      .updateTable('files')
      .set({ lfs_oid: bytesOf(file.lfsOid) })
      .where('snapshot_id', '=', snapshotId)
      .where('path_key', '=', pathKeyOf(file.path))
      .where('is_lfs', '=', 1)
      .where('lfs_oid', 'is', null)
      .execute()
  }
  await noteAddedDigests(db, snapshotId)
  const undigested = files.filter((file) => contentKeyOf(file) === undefined).length
  await db
    .updateTable('snapshots')
    .set({ files_undigested: undigested, read_at: at })
    .where('id', '=', snapshotId)
    .execute()
}

/** Replaces the decisions of a snapshot; rows whose decision is the same are not written. */
export async function redecide(
  db: Db,
  bulk: Bulk,
  change: {
    snapshotId: number
    decisions: readonly FileDecision[]
    policyKey: string
    isSmall: (file: Sibling) => boolean
  },
): Promise<void> {
  const { snapshotId } = change
  const snapshot = await db.selectFrom('snapshots').select('policy_key').where('id', '=', snapshotId).executeTakeFirst()
  invariant(snapshot !== undefined, `snapshot ${snapshotId} exists`)
  const changed = changedDecisions(bulk, snapshotId, change.decisions)
  for (const { pathKey, columns } of changed) {
    const row = await db
      .selectFrom('files')
      .selectAll()
      .where('snapshot_id', '=', snapshotId)
      .where('path_key', '=', pathKey)
      .executeTakeFirstOrThrow()
    const isSmall = change.isSmall(siblingOf(row)) ? 1 : 0
    bulk.decide({ snapshot_id: snapshotId, path_key: pathKey, is_small: isSmall, ...columns })
  }
  if (changed.length > 0) await settleSnapshot(db, snapshotId)
  if (snapshot.policy_key !== change.policyKey) {
    await db.updateTable('snapshots').set({ policy_key: change.policyKey }).where('id', '=', snapshotId).execute()
  }
}

function changedDecisions(
  bulk: Bulk,
  snapshotId: number,
  decisions: readonly FileDecision[],
): { pathKey: Buffer; columns: DecisionColumns }[] {
  const wanted = new Map(decisions.map((decision) => [decision.path, decision]))
  const encode = decisionEncoder(bulk)
  const changed: { pathKey: Buffer; columns: DecisionColumns }[] = []
  for (const [path, hasDigest, take, reason, detailId] of bulk.decisions(snapshotId)) {
    const columns = encode(path, wanted.get(path), hasDigest === 1)
    if (columns.take === take && columns.reason === reason && columns.detail_id === detailId) continue
    changed.push({ pathKey: pathKeyOf(path), columns })
  }
  return changed
}
