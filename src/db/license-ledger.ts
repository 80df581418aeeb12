import { sql } from 'kysely'
import type { CommitId, Sha256 } from '../domain/digest.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { LicenseEntry, LicenseReading, LicenseRole } from '../domain/license-entry.ts'
import type { RepoName } from '../domain/repo.ts'
import type { LicenseLedger, LicenseRow, UnreadLicense } from '../license-port.ts'
import { bytesOf, commitOf, nameKeyOf, packLicense, pathKeyOf, sha256Of } from './codec.ts'
import { IS_NEW_LICENSE } from './conditions.ts'
import { appendEvents } from './events.ts'
import { rowsOf } from './license-rows.ts'
import { readMeta, writeMeta } from './meta.ts'
import type { Db } from './schema.ts'

/** Every snapshot up to this one has an entry, or a listing that could not be read. */
const RECORDED = 'licenses_recorded'

/** Values of `licenses.compared`; from 1 on it counts the comparisons of a repository. */
const NEW = 0
const PASSED_OVER = -1

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

  hasWork(): Promise<boolean> {
    return this.#read(async (db) => {
      const entry = await db
        .selectFrom('licenses')
        .select('snapshot_id')
        .where(IS_NEW_LICENSE)
        .limit(1)
        .executeTakeFirst()
      if (entry !== undefined) return true
      const file = await selectUnread(db).select('files.blob_id').limit(1).executeTakeFirst()
      return file !== undefined
    })
  }

  record(snapshotId: number, entry: LicenseEntry): Promise<void> {
    return this.#write((db) => recordLicense(db, snapshotId, entry))
  }

  takeUnread(limit: number): Promise<UnreadLicense[]> {
    return this.#write(async (db) => {
      const rows = await selectUnread(db)
        .leftJoin('license_readings', (join) =>
          join
            .onRef('license_readings.sha256', '=', 'blobs.sha256')
            .onRef('license_readings.role', '=', 'license_files.role'),
        )
        .select(['license_files.snapshot_id', 'license_files.path_key', 'license_files.role'])
        .select(['blobs.sha256', 'blobs.size', 'blobs.verified_ms', 'license_readings.id as reading_id'])
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
        .where('compared', '>', NEW)
        .orderBy('compared', 'desc')
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
      const entry = await db
        .selectFrom('licenses')
        .select(['repo_id', 'compared'])
        .where('snapshot_id', '=', snapshotId)
        .executeTakeFirst()
      if (entry?.compared !== NEW) return []
      const compared = isPassedOver ? PASSED_OVER : (await comparisons(db, entry.repo_id)) + 1
      await db.updateTable('licenses').set({ compared }).where('snapshot_id', '=', snapshotId).execute()
      return appendEvents(db, this.#archiveId, events)
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

/** The head is this commit (again): it is compared with what was compared last. */
export async function compareAgain(db: Db, snapshotId: number): Promise<void> {
  await db
    .updateTable('licenses')
    .set({ compared: NEW })
    .where('snapshot_id', '=', snapshotId)
    .where('compared', '<>', NEW)
    .execute()
}

async function comparisons(db: Db, repoId: number): Promise<number> {
  const { last } = await db
    .selectFrom('licenses')
    .select((eb) => eb.fn.max('compared').as('last'))
    .where('repo_id', '=', repoId)
    .executeTakeFirstOrThrow()
  return Math.max(NEW, last)
}

/** Licence files that are held and that nobody has read. */
function selectUnread(db: Db) {
  return db
    .selectFrom('license_files')
    .innerJoin('files', (join) =>
      join
        .onRef('files.snapshot_id', '=', 'license_files.snapshot_id')
        .onRef('files.path_key', '=', 'license_files.path_key'),
    )
    .innerJoin('blobs', 'blobs.id', 'files.blob_id')
    .where('license_files.reading_id', 'is', null)
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
