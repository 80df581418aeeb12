import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openSqlite, type SqliteHandle } from './sqlite.ts'

/** What SQLite says where it cannot make the shared memory that reading a database with a log needs. */
const NO_SHARED_MEMORY = /^SQLITE_(CANTOPEN|IOERR|READONLY|FULL)/

/** The smallest that a living process works with. */
const SHARED_MEMORY_BYTES = 32 * 1024

/** Memory that looks like a disk (Linux): for where the temporary folder is on the disk that is full. */
const MEMORY_FOLDER = '/dev/shm'

/**
 * Opens the catalog for reading, also on a disk that takes no writes (read-only, or full to the last byte): a copy in the
 * temporary folder, or in memory, is read then, which nobody else can change.
 * @throws as openSqlite
 */
export function openForReading(path: string): SqliteHandle {
  // Where it could not be made, a part of it may be left behind.
  const hasWriter = (statSync(`${path}-shm`, { throwIfNoEntry: false })?.size ?? 0) >= SHARED_MEMORY_BYTES
  try {
    return openSqlite(path, 'read')
  } catch (error) {
    if (hasWriter || !(error instanceof Database.SqliteError) || !NO_SHARED_MEMORY.test(error.code)) throw error
    const copy = openCopy(path, tmpdir()) ?? openCopy(path, MEMORY_FOLDER)
    // The first reason says more than that the ways around it are closed, too.
    if (copy === undefined) throw error
    return copy
  }
}

/** undefined where none can be made. */
function openCopy(path: string, parent: string): SqliteHandle | undefined {
  let folder: string | undefined
  try {
    folder = mkdtempSync(join(parent, 'weightvault-catalog-'))
    const copy = join(folder, 'catalog.db')
    for (const ending of ['', '-wal']) {
      if (existsSync(`${path}${ending}`)) copyFileSync(`${path}${ending}`, `${copy}${ending}`)
    }
    return openSqlite(copy, 'read')
  } catch {
    return undefined
  } finally {
    // Open files live on without their names, and go with the process.
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}
