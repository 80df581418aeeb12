import { DECISION_REASONS } from '../domain/decision.ts'
import type { PlanRow, PlanTotals } from '../work-rows.ts'
import { commitOf, pathOfKey, refOf } from './codec.ts'
import { IS_PENDING } from './conditions.ts'
import { unpackDetail } from './detail.ts'
import { holdCode, holdOf } from './hold.ts'
import { JOB_STATES } from './job-states.ts'
import { readCounters } from './meta.ts'
import type { Db } from './schema.ts'

export interface PlanPage {
  readonly after: string | undefined
  readonly limit: number
  readonly taken: boolean
}

/** Where a page ended: rank and id of the snapshot and the path inside it. */
interface Cursor {
  readonly rank: number
  readonly snapshotId: number
  readonly pathKey: Buffer
}

const SNAPSHOTS_PER_STEP = 50

/**
 * Files in the order of the schedule: with `taken` the missing wanted files of every pending snapshot, else the files
 * of every repository's newest snapshot that the policy leaves.
 */
export async function planRows(db: Db, page: PlanPage): Promise<{ rows: PlanRow[]; next: string | undefined }> {
  const rows: PlanRow[] = []
  let cursor = page.after === undefined ? undefined : parseCursor(page.after)
  for (;;) {
    const snapshots = await snapshotsFrom(db, page.taken, cursor)
    for (const snapshot of snapshots) {
      const afterKey = cursor?.snapshotId === snapshot.id ? cursor.pathKey : undefined
      const files = await filesOf(db, snapshot.id, { taken: page.taken, afterKey, limit: page.limit - rows.length })
      const tries = page.taken ? await nextTries(db, snapshot.id, files) : new Map<string, number>()
      for (const file of files) rows.push(planRowOf(snapshot, file, tries.get(file.path_key.toString('hex'))))
      const last = files.at(-1)
      const at = { rank: snapshot.rank, snapshotId: snapshot.id }
      if (rows.length >= page.limit && last !== undefined) {
        return { rows, next: printCursor({ ...at, pathKey: last.path_key }) }
      }
      // A key of 0xff bytes is behind every path: the next step starts after this snapshot.
      cursor = { ...at, pathKey: BEHIND_EVERY_PATH }
    }
    if (snapshots.length < SNAPSHOTS_PER_STEP) return { rows, next: undefined }
  }
}

const BEHIND_EVERY_PATH = Buffer.from([0xff])

function printCursor(cursor: Cursor): string {
  return `${cursor.rank}:${cursor.snapshotId}:${cursor.pathKey.toString('base64url')}`
}

/** A cursor that was not printed here starts at the beginning. */
function parseCursor(text: string): Cursor | undefined {
  const [rank, snapshotId, key] = text.split(':')
  if (key === undefined || !/^-?\d+$/.test(rank ?? '') || !/^\d+$/.test(snapshotId ?? '')) return undefined
  return { rank: Number(rank), snapshotId: Number(snapshotId), pathKey: Buffer.from(key, 'base64url') }
}

interface PlannedSnapshot {
  id: number
  rank: number
  hold: number
  commit_id: Buffer
  type: string
  name: string
}

async function snapshotsFrom(db: Db, taken: boolean, cursor: Cursor | undefined): Promise<PlannedSnapshot[]> {
  let query = db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['snapshots.id', 'snapshots.rank', 'snapshots.hold', 'snapshots.commit_id', 'repos.type', 'repos.name'])
    .orderBy('snapshots.rank')
    .orderBy('snapshots.id')
    .limit(SNAPSHOTS_PER_STEP)
  query = taken ? query.where(IS_PENDING) : query.whereRef('repos.newest_snapshot_id', '=', 'snapshots.id')
  if (cursor !== undefined) {
    query = query.where((eb) =>
      eb(eb.refTuple('snapshots.rank', 'snapshots.id'), '>=', eb.tuple(cursor.rank, cursor.snapshotId)),
    )
  }
  return query.execute()
}

interface PlannedFile {
  path_key: Buffer
  size: number
  reason: number
  text: string
}

async function filesOf(
  db: Db,
  snapshotId: number,
  page: { taken: boolean; afterKey: Buffer | undefined; limit: number },
): Promise<PlannedFile[]> {
  let query = db
    .selectFrom('files')
    .innerJoin('details', 'details.id', 'files.detail_id')
    .select(['files.path_key', 'files.size', 'files.reason', 'details.text'])
    .where('files.snapshot_id', '=', snapshotId)
    .where('files.take', '=', page.taken ? 1 : 0)
    .orderBy('files.path_key')
    .limit(page.limit)
  if (page.taken) query = query.where('files.blob_id', 'is', null)
  if (page.afterKey !== undefined) query = query.where('files.path_key', '>', page.afterKey)
  return query.execute()
}

/** By path key, in hex: when those of these files that failed and wait are tried again, in milliseconds. */
async function nextTries(db: Db, snapshotId: number, files: readonly PlannedFile[]): Promise<Map<string, number>> {
  const [first, last] = [files[0], files.at(-1)]
  if (first === undefined || last === undefined) return new Map()
  const rows = await db
    .selectFrom('job_files')
    .innerJoin('jobs', 'jobs.id', 'job_files.job_id')
    .select(['job_files.path_key', 'jobs.until_ms'])
    .where('job_files.snapshot_id', '=', snapshotId)
    .where('job_files.is_small', 'in', [0, 1])
    .where('job_files.path_key', '>=', first.path_key)
    .where('job_files.path_key', '<=', last.path_key)
    .where('jobs.state', '=', JOB_STATES.waiting)
    .execute()
  return new Map(rows.map((row) => [row.path_key.toString('hex'), row.until_ms]))
}

function planRowOf(snapshot: PlannedSnapshot, file: PlannedFile, nextTryMs: number | undefined): PlanRow {
  const path = pathOfKey(file.path_key)
  return {
    ref: refOf(snapshot),
    commit: commitOf(snapshot.commit_id),
    path,
    size: file.size,
    reason: DECISION_REASONS[file.reason] ?? 'not-decided',
    detail: unpackDetail(file.text, path),
    hold: holdOf(snapshot.hold),
    nextTryAt: nextTryMs === undefined ? undefined : new Date(nextTryMs).toISOString(),
  }
}

const HELD_BACK = [holdCode('budget'), holdCode('reserve')]
const MOVES_BY_ITSELF = [holdCode('none'), holdCode('window'), holdCode('paused')]

/** Sums of `planRows`, each content counted once. */
export async function planTotals(db: Db): Promise<PlanTotals> {
  const sums = await db
    .selectFrom('jobs')
    .select(['hold', 'is_runnable'])
    .select((eb) => [
      eb.fn.countAll<number>().as('files'),
      eb.fn.sum<number>(eb.cast<number>('size', 'real')).as('bytes'),
    ])
    .groupBy(['hold', 'is_runnable'])
    .execute()
  const fetch = sums.filter((row) => row.is_runnable === 1 || MOVES_BY_ITSELF.includes(row.hold))
  const heldBack = sums.filter((row) => row.is_runnable === 0 && HELD_BACK.includes(row.hold))
  const skipped = await db
    .selectFrom('repos')
    .innerJoin('snapshots', 'snapshots.id', 'repos.newest_snapshot_id')
    .select((eb) => [
      eb.fn.sum<number>(eb('files_listed', '-', eb.ref('files_wanted'))).as('files'),
      eb.fn.sum<number>(eb.cast<number>(eb('snapshots.bytes_listed', '-', eb.ref('bytes_wanted')), 'real')).as('bytes'),
    ])
    .executeTakeFirst()
  const counters = await readCounters(db)
  return {
    filesToFetch: fetch.reduce((sum, row) => sum + row.files, 0),
    bytesToFetch: fetch.reduce((sum, row) => sum + row.bytes, 0),
    filesHeldBack: heldBack.reduce((sum, row) => sum + row.files, 0),
    bytesHeldBack: heldBack.reduce((sum, row) => sum + row.bytes, 0),
    bytesHeld: counters.get('blob_bytes') ?? 0,
    filesSkipped: skipped?.files ?? 0,
    bytesSkipped: skipped?.bytes ?? 0,
  }
}
