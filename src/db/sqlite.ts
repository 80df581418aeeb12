import Database from 'better-sqlite3'
import { Kysely } from 'kysely'
import { ArchiveError } from '../domain/errors.ts'
import type { Schema } from './schema.ts'
import { CatalogDialect } from './sqlite-dialect.ts'

// Everything that only SQLite needs: another database stands behind the same port with its own copy of this file,
// of `bulk.ts` and of the column types.

/** "wvlt": tells our catalog from any other SQLite file. */
/** What a person does where there is no catalog, or an empty one. */
export const MAKES_CATALOG =
  'for a new archive run `weightvault sync` or `weightvault run` once: it makes the catalog; where files are archived already, `weightvault rebuild` makes it again from them'
const APPLICATION_ID = 0x77766c74
/** Older ones can lose committed rows of a WAL database after a checkpoint race. */
const MIN_SQLITE = [3, 51, 3] as const
const BUSY_TIMEOUT_MS = 5000
/** Pages of 4 KiB between automatic checkpoints: 16 MiB, measured as the knee of insert rate against stalls. */
const WAL_AUTOCHECKPOINT_PAGES = 4000
const WAL_MAX_BYTES = 64 * 1024 * 1024
/** better-sqlite3's own 16 MiB measured no faster: the system keeps the file's pages, too. */
const PAGE_CACHE_KIB = 4000

/** Column types and table endings of SQLite for the migrations. */
export const SQLITE_TYPES = {
  id: 'INTEGER PRIMARY KEY',
  integer: 'INTEGER',
  text: 'TEXT',
  bytes: 'BLOB',
  table: 'STRICT',
  clusteredTable: 'STRICT, WITHOUT ROWID',
} as const

/** An open SQLite file: `raw` for bare prepared statements inside a transaction of `kysely`, which owns the file. */
export interface SqliteHandle {
  readonly raw: Database.Database
  readonly kysely: Kysely<Schema>
}

/**
 * Opens the file and sets and reads back what durability rests on.
 * @throws ArchiveError CATALOG_UNUSABLE when it is no database of ours
 */
export function openSqlite(path: string, mode: 'write' | 'read'): SqliteHandle {
  const raw = new Database(path, {
    readonly: mode === 'read',
    fileMustExist: mode === 'read',
    timeout: BUSY_TIMEOUT_MS,
  })
  try {
    assertVersion(raw)
    claimFile(raw, path, mode)
    setPragmas(raw, mode)
  } catch (error) {
    raw.close()
    throw error
  }
  return { raw, kysely: new Kysely<Schema>({ dialect: new CatalogDialect(raw) }) }
}

function assertVersion(raw: Database.Database): void {
  const version = String(raw.prepare('SELECT sqlite_version()').pluck().get())
  if (isAtLeast(version, MIN_SQLITE)) return
  throw new ArchiveError('CATALOG_UNUSABLE', `SQLite ${version} is too old for the catalog`, {
    hint: `weightvault needs SQLite ${MIN_SQLITE.join('.')} or newer; reinstall its dependencies`,
  })
}

/** Whether a dotted version is at least the wanted one, number by number. */
export function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  for (const [at, want] of wanted.entries()) {
    const have = parts[at] ?? 0
    if (have !== want) return have > want
  }
  return true
}

function claimFile(raw: Database.Database, path: string, mode: 'write' | 'read'): void {
  const id = raw.pragma('application_id', { simple: true })
  if (id === APPLICATION_ID) return
  const isEmpty = raw.prepare('SELECT count(*) FROM sqlite_master').pluck().get() === 0
  if (id !== 0 || !isEmpty) {
    throw new ArchiveError('CATALOG_UNUSABLE', `${path} is a database of another program`, {
      hint: 'move it away; nothing in it was touched',
    })
  }
  if (mode === 'read') {
    throw new ArchiveError('CATALOG_UNUSABLE', `the catalog ${path} is empty`, {
      hint: MAKES_CATALOG,
    })
  }
  raw.pragma('journal_mode = WAL')
  raw.pragma(`application_id = ${APPLICATION_ID}`)
}

function setPragmas(raw: Database.Database, mode: 'write' | 'read'): void {
  if (mode === 'write') {
    raw.pragma('journal_mode = WAL')
    raw.pragma(`wal_autocheckpoint = ${WAL_AUTOCHECKPOINT_PAGES}`)
    raw.pragma(`journal_size_limit = ${WAL_MAX_BYTES}`)
  }
  raw.pragma(`cache_size = -${PAGE_CACHE_KIB}`)
  raw.pragma('synchronous = FULL')
  raw.pragma('foreign_keys = ON')
  raw.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  const wanted = { journal_mode: 'wal', synchronous: 2, foreign_keys: 1, busy_timeout: BUSY_TIMEOUT_MS }
  for (const [name, value] of Object.entries(wanted)) {
    const actual = raw.pragma(name, { simple: true })
    if (actual === value) continue
    throw new ArchiveError(
      'CATALOG_UNUSABLE',
      `SQLite refused the setting ${name} = ${value} and keeps ${String(actual)}`,
      {
        hint: 'the catalog must be on a local disk; network file systems do not support it',
      },
    )
  }
}

/**
 * Finds a damaged file early without reading all of it: the first row of every table and index. SQLite itself refuses a
 * file that is shorter than it says.
 * @throws the driver's SQLITE_CORRUPT
 */
export function probeFile(raw: Database.Database): void {
  const tables = raw.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()
  for (const table of tables) {
    raw.prepare(`SELECT * FROM "${table}" LIMIT 1`).all()
    const indexes = raw.prepare<[string], IndexRow>('SELECT name, partial FROM pragma_index_list(?)').all(table)
    for (const { name, partial } of indexes) {
      // A partial index answers only queries that repeat its condition.
      if (partial === 0) raw.prepare(`SELECT 1 FROM "${table}" INDEXED BY "${name}" LIMIT 1`).all()
    }
  }
}

interface IndexRow {
  name: string
  partial: 0 | 1
}

/** Writes the log back into the file and cuts it, as far as readers allow; never waits for them. */
export function checkpointSqlite(raw: Database.Database): void {
  raw.pragma('busy_timeout = 0')
  try {
    raw.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    raw.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  }
}

/** What the driver threw, in the archive's words. Anything else comes back as it is. */
export function catalogError(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof Database.SqliteError)) return thrown
  const { code } = thrown
  const because = { cause: thrown }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new ArchiveError('CATALOG_UNUSABLE', `the catalog ${path} is damaged: ${thrown.message}`, {
      ...because,
      hint: `move ${path} away (with its -wal and -shm files) and run \`weightvault rebuild\`: it makes the catalog again from the archive’s files; no archived bytes are lost`,
    })
  }
  // The shared memory beside the file is made as large as it will be: that fails on a full disk and hardly otherwise.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE')
    return new ArchiveError('DISK_FULL', `no space left for the catalog ${path}`, {
      ...because,
      hint: 'nothing is lost; free some space on the disk of the archive and try again',
    })
  if (code.startsWith('SQLITE_READONLY')) {
    return new ArchiveError('ARCHIVE_READ_ONLY', `the catalog ${path} cannot be written`, because)
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new ArchiveError('ARCHIVE_LOCKED', `another process holds the catalog ${path}`, {
      ...because,
      hint: 'one process writes at a time; stop the other one, or ask it',
    })
  }
  if (code.startsWith('SQLITE_CANTOPEN')) {
    return new ArchiveError('CATALOG_UNUSABLE', `the catalog ${path} cannot be opened`, {
      ...because,
      hint: 'check that the file exists and may be read; `weightvault rebuild` makes a missing one again',
    })
  }
  if (code.startsWith('SQLITE_IOERR'))
    return new ArchiveError('DISK_FAILED', `the disk failed under the catalog ${path}`, because)
  return thrown
}
