import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openSqlite, type SqliteHandle } from './sqlite.ts'

/** What SQLite says where it cannot make the shared memory that reading a database with a log needs. */
const NO_SHARED_MEMORY = /^SQLITE_(CANTOPEN|IOERR|READONLY|FULL)/

/** The smallest that a living process works with. */
const SHARED_MEMORY_BYTES = 32 * 1024

/**
 * Opens the catalog for reading, also on a disk that takes no writes (read-only, or full to the last byte): a copy in the
 * temporary folder is read then, which nobody else can change.
 * @throws as openSqlite
 */
export function openForReading(path: string): SqliteHandle {
  // Where it could not be made, a part of it may be left behind.
  const hasWriter = (statSync(`${path}-shm`, { throwIfNoEntry: false })?.size ?? 0) >= SHARED_MEMORY_BYTES
  try {
    return openSqlite(path, 'read')
  } catch (error) {
    if (hasWriter || !(error instanceof Database.SqliteError) || !NO_SHARED_MEMORY.test(error.code)) throw error
    return openCopy(path, error)
  }
}

function openCopy(path: string, reason: Error): SqliteHandle {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-catalog-'))
  try {
    const copy = join(folder, 'catalog.db')
    for (const ending of ['', '-wal']) {
      if (existsSync(`${path}${ending}`)) copyFileSync(`${path}${ending}`, `${copy}${ending}`)
    }
    return openSqlite(copy, 'read')
  } catch {
    // The first reason says more than that the way around it is closed, too.
    throw reason
  } finally {
    // Open files live on without their names, and go with the process.
    rmSync(folder, { recursive: true, force: true })
  }
}
