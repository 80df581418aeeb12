import { sql } from 'kysely'
import type { CommitId, Sha256 } from '../domain/digest.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { LicenseEntry, LicenseFile, LicenseReading, LicenseRole } from '../domain/license-entry.ts'
import { licenseFormOf, type LicenseKind } from '../domain/license-form.ts'
import type { RepoName } from '../domain/repo.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { LicenseLedger, LicenseRow, UnreadLicense } from '../license-port.ts'
import {
  bytesOf,
  commitOf,
  nameKeyOf,
  packLicense,
  pathKeyOf,
  pathOfKey,
  refOf,
  sha256Of,
  unpackLicense,
} from './codec.ts'
import { IS_NEW_LICENSE } from './conditions.ts'
import { appendEvents } from './events.ts'
import { readMeta, writeMeta } from './meta.ts'
import type { Db, LicensesTable } from './schema.ts'

/** Every snapshot up to this one has an entry, or a listing that could not be read. */
const RECORDED = 'licenses_recorded'

/** Values of `licenses.compared`. */
const NEW = 0
const COMPARED = 1
const PASSED_OVER = 2

/** Files looked at in one transaction. */
const FILES_AT_ONCE = 2000

const HAS_NO_ENTRY = sql<boolean>`NOT EXISTS (
  SELECT 1 FROM licenses WHERE licenses.snapshot_id = snapshots.id)`
/** No licence file is still to come, or held and not read. */
const IS_WHOLLY_READ = sql<boolean>`NOT EXISTS (
  SELECT 1 FROM license_files JOIN files
    ON files.snapshot_id = license_files.snapshot_id AND files.path_key = license_files.path_key
  WHERE license_files.snapshot_id = licenses.snapshot_id AND license_files.reading_id IS NULL AND files.take = 1)`

/** Runs a step in one transaction. */
type Transaction = <T>(step: (db: Db) => Promise<T>) => Promise<T>

/** The licence ledger: tables `licenses`, `license_files` and `license_readings`. */
export class SqliteLicenseLedger implements LicenseLedger {
  readonly #read: Transaction
  readonly #write: Transaction
  readonly #archiveId: string

  constructor(read: Transaction, write: Transaction, archiveId: string) {
    this.#read = read
    this.#write = write
    this.#archiveId = archiveId
  }

  unrecorded(
    limit: number,
  ): Promise<{ rows: { snapshotId: number; name: RepoName; commit: CommitId }[]; upTo: number }> {
    return this.#read(async (db) => {
      const from = Number((await readMeta(db, RECORDED)) ?? 0)
      const rows = await db
        .selectFrom('snapshots')
        .select(['id', 'name', 'commit_id'])
        .where('id', '>', from)
        .where(HAS_NO_ENTRY)
        .orderBy('id')
        .limit(limit)
        .execute()
      const last = rows.length < limit ? await newestSnapshot(db) : rows.at(-1)?.id
      return {
        rows: rows.map((row) => ({
          snapshotId: row.id,
          name: row.name as RepoName,
          commit: commitOf(row.commit_id),
        })),
        upTo: Math.max(from, last ?? 0),
      }
    })
  }

  recordedUpTo(snapshotId: number): Promise<void> {
    return this.#write(async (db) => {
      if (Number((await readMeta(db, RECORDED)) ?? 0) < snapshotId) await writeMeta(db, RECORDED, String(snapshotId))
    })
  }

  record(snapshotId: number, entry: LicenseEntry): Promise<void> {
    return this.#write((db) => recordLicense(db, snapshotId, entry))
  }

  takeUnread(limit: number): Promise<UnreadLicense[]> {
    return this.#write(async (db) => {
      const rows = await db
        .selectFrom('license_files')
        .innerJoin('files', (join) =>
          join
            .onRef('files.snapshot_id', '=', 'license_files.snapshot_id')
            .onRef('files.path_key', '=', 'license_files.path_key'),
        )
        .innerJoin('blobs', 'blobs.id', 'files.blob_id')
        .leftJoin('license_readings', (join) =>
          join
            .onRef('license_readings.sha256', '=', 'blobs.sha256')
            .onRef('license_readings.role', '=', 'license_files.role'),
        )
        .select(['license_files.snapshot_id', 'license_files.path_key', 'license_files.role'])
        .select(['blobs.sha256', 'blobs.size', 'blobs.verified_ms', 'license_readings.id as reading_id'])
        .where('license_files.reading_id', 'is', null)
        .limit(FILES_AT_ONCE)
        .execute()
      const unread = new Map<string, UnreadLicense>()
      for (const row of rows) {
        if (row.reading_id !== null) await linkReading(db, row, row.reading_id)
        else unread.set(`${row.role} ${sha256Of(row.sha256)}`, unreadOf(row))
      }
      return [...unread.values()].slice(0, limit)
    })
  }

  recordReading(sha256: Sha256, reading: LicenseReading): Promise<void> {
    return this.#write(async (db) => {
      const row = { sha256: bytesOf(sha256), role: reading.role, reading: JSON.stringify(reading) }
      await db
        .insertInto('license_readings')
        .values(row)
        .onConflict((conflict) => conflict.columns(['sha256', 'role']).doUpdateSet({ reading: row.reading }))
        .execute()
    })
  }

  comparable(limit: number): Promise<LicenseRow[]> {
    return this.#read(async (db) => {
      const rows = await db
        .selectFrom('licenses')
        .selectAll()
        .where(IS_NEW_LICENSE)
        .where(IS_WHOLLY_READ)
        .orderBy('snapshot_id')
        .limit(limit)
        .execute()
      return rowsOf(db, rows)
    })
  }

  lastCompared(repoId: number): Promise<LicenseRow | undefined> {
    return this.#read(async (db) => {
      const rows = await db
        .selectFrom('licenses')
        .selectAll()
        .where('repo_id', '=', repoId)
        .where('compared', '=', COMPARED)
        .orderBy('snapshot_id', 'desc')
        .limit(1)
        .execute()
      return (await rowsOf(db, rows))[0]
    })
  }

  recordCompared(
    snapshotId: number,
    { isPassedOver, events }: { isPassedOver: boolean; events: readonly ChangeEvent[] },
  ): Promise<LoggedEvent[]> {
    return this.#write(async (db) => {
      const moved = await db
        .updateTable('licenses')
        .set({ compared: isPassedOver ? PASSED_OVER : COMPARED })
        .where('snapshot_id', '=', snapshotId)
        .where('compared', '=', NEW)
        .returning('repo_id')
        .executeTakeFirst()
      return moved === undefined ? [] : appendEvents(db, this.#archiveId, events)
    })
  }

  entryOf(snapshotId: number): Promise<LicenseRow | undefined> {
    return this.#read(async (db) => {
      const rows = await db.selectFrom('licenses').selectAll().where('snapshot_id', '=', snapshotId).execute()
      return (await rowsOf(db, rows))[0]
    })
  }

  history(repoId: number, limit: number): Promise<LicenseRow[]> {
    return this.#read(async (db) => {
      const rows = await db
        .selectFrom('licenses')
        .selectAll()
        .where('repo_id', '=', repoId)
        .orderBy('snapshot_id', 'desc')
        .limit(limit)
        .execute()
      return rowsOf(db, rows)
    })
  }

  formAt(name: RepoName, at: string): Promise<string | undefined> {
    return this.#read(async (db) => {
      const entries = db
        .selectFrom('repos')
        .innerJoin('licenses', 'licenses.repo_id', 'repos.id')
        .innerJoin('snapshots', 'snapshots.id', 'licenses.snapshot_id')
        .select('licenses.spdx')
        .where('repos.name_key', '=', nameKeyOf(name))
        .where('repos.name_taken', '=', 0)
        .where('licenses.spdx', 'is not', null)
        .where('licenses.compared', '<>', PASSED_OVER)
      const then = await entries
        .where('snapshots.listed_at', '<=', at)
        .orderBy('snapshots.id', 'desc')
        .limit(1)
        .executeTakeFirst()
      const found = then ?? (await entries.orderBy('snapshots.id').limit(1).executeTakeFirst())
      return found?.spdx ?? undefined
    })
  }
}

/** Writes the entry of a snapshot that has none. */
export async function recordLicense(db: Db, snapshotId: number, entry: LicenseEntry): Promise<void> {
  const added = await db
    .insertInto('licenses')
    .columns(['snapshot_id', 'repo_id', 'stated', 'tags', 'spdx', 'kind', 'base_models', 'gate_terms', 'compared'])
    .expression((eb) =>
      eb
        .selectFrom('snapshots')
        .select((select) => [
          'id',
          'repo_id',
          select.val(packLicense(entry.stated)).as('stated'),
          select.val(JSON.stringify(entry.tags)).as('tags'),
          select.val(entry.form?.expression ?? null).as('spdx'),
          select.val(entry.form?.kind ?? null).as('kind'),
          select.val(JSON.stringify(entry.baseModels)).as('base_models'),
          select.val(entry.gateTerms === undefined ? null : JSON.stringify(entry.gateTerms)).as('gate_terms'),
          select.val(NEW).as('compared'),
        ])
        .where('id', '=', snapshotId),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning('snapshot_id')
    .executeTakeFirst()
  if (added === undefined || entry.files.length === 0) return
  const files = entry.files.map(({ path, role }) => ({ snapshot_id: snapshotId, path_key: pathKeyOf(path), role }))
  await db.insertInto('license_files').values(files).execute()
}

async function linkReading(db: Db, file: { snapshot_id: number; path_key: Buffer }, readingId: number): Promise<void> {
  await db
    .updateTable('license_files')
    .set({ reading_id: readingId })
    .where('snapshot_id', '=', file.snapshot_id)
    .where('path_key', '=', file.path_key)
    .execute()
}

function unreadOf(row: { sha256: Buffer; size: number; verified_ms: number; role: string }): UnreadLicense {
  const { size, verified_ms: provenAtMs } = row
  return { sha256: sha256Of(row.sha256), size, role: row.role as LicenseRole, provenAtMs }
}

async function newestSnapshot(db: Db): Promise<number | undefined> {
  const { newest } = await db
    .selectFrom('snapshots')
    .select((eb) => eb.fn.max('id').as('newest'))
    .executeTakeFirstOrThrow()
  return newest ?? undefined
}

async function rowsOf(db: Db, rows: readonly LicensesTable[]): Promise<LicenseRow[]> {
  const found: LicenseRow[] = []
  for (const row of rows) found.push(await rowOf(db, row))
  return found
}

async function rowOf(db: Db, row: LicensesTable): Promise<LicenseRow> {
  const snapshot = await db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['snapshots.name', 'repos.type', 'snapshots.commit_id', 'snapshots.listed_at'])
    .where('snapshots.id', '=', row.snapshot_id)
    .executeTakeFirstOrThrow()
  const files = await db
    .selectFrom('license_files')
    .innerJoin('files', (join) =>
      join
        .onRef('files.snapshot_id', '=', 'license_files.snapshot_id')
        .onRef('files.path_key', '=', 'license_files.path_key'),
    )
    .leftJoin('blobs', 'blobs.id', 'files.blob_id')
    .leftJoin('license_readings', 'license_readings.id', 'license_files.reading_id')
    .select(['license_files.path_key', 'license_files.role', 'files.size', 'blobs.sha256', 'license_readings.reading'])
    .where('license_files.snapshot_id', '=', row.snapshot_id)
    .orderBy('license_files.path_key')
    .execute()
  const read = files.map(fileOf)
  return {
    ...stated(row, read),
    snapshotId: row.snapshot_id,
    repoId: row.repo_id,
    ref: refOf(snapshot),
    commit: commitOf(snapshot.commit_id),
    at: snapshot.listed_at,
    tags: JSON.parse(row.tags) as string[],
    baseModels: JSON.parse(row.base_models) as RepoName[],
    gateTerms: row.gate_terms === null ? undefined : (JSON.parse(row.gate_terms) as string),
    files: read,
  }
}

function fileOf(row: {
  path_key: Buffer
  role: string
  size: number
  sha256: Buffer | null
  reading: string | null
}): LicenseFile {
  return {
    path: pathOfKey(row.path_key),
    role: row.role as LicenseRole,
    size: row.size,
    sha256: row.sha256 === null ? undefined : sha256Of(row.sha256),
    reading: row.reading === null ? undefined : (JSON.parse(row.reading) as LicenseReading),
  }
}

function stated(row: LicensesTable, files: readonly LicenseFile[]): Pick<LicenseRow, 'stated' | 'form' | 'statedBy'> {
  const card = files.find(({ role }) => role === 'card')?.reading
  const form = card?.role === 'card' && card.stated !== undefined ? licenseFormOf(card.stated, parseSpdx) : undefined
  if (row.spdx === null && form !== undefined && card?.role === 'card' && card.stated !== undefined) {
    return { stated: card.stated, form, statedBy: 'card' }
  }
  const kind = (row.kind ?? 'unknown') as LicenseKind
  return {
    stated: unpackLicense(row.stated),
    form: row.spdx === null ? undefined : { expression: row.spdx, kind },
    statedBy: 'hub',
  }
}
