import { lstat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { ArchiveWriter } from '../archive-rows.ts'
import { ArchiveError } from '../domain/errors.ts'
import { isErrno, readRegularFile, replaceFileDurably, unlinkIfThere } from '../lib/fs-durable.ts'

const LOCK_NAME = 'weightvault.lock'
/** Who holds the lock, for people; whether anybody holds it only the lock itself tells. */
const HOLDER_NAME = 'weightvault.lock.json'
const MAX_HOLDER_BYTES = 4096

/**
 * Takes the right to write in an archive until it is disposed or the process ends, however it ends: the lock is SQLite's
 * own on an empty file, which the kernel releases. It is not waited for.
 * @param root an archive folder that was opened, on a disk that is the right one
 * @throws ArchiveError ARCHIVE_LOCKED while another process (or this one) has it, ARCHIVE_READ_ONLY, DISK_FAILED
 */
export async function acquireArchiveLock(root: string): Promise<AsyncDisposable> {
  const path = join(root, LOCK_NAME)
  await refuseOddFile(path)
  const database = await lockFile(root, path)
  await writeHolder(root)
  return {
    [Symbol.asyncDispose]: async () => {
      if (!database.open) return
      await unlinkIfThere(join(root, HOLDER_NAME)).catch(() => undefined)
      database.close()
    },
  }
}

/**
 * The process that may write in an archive now, this one or another; undefined when none does. The lock is looked at
 * only where its holder left a note: looking would refuse it, for a moment, to a process that starts.
 */
export async function readArchiveWriter(root: string): Promise<ArchiveWriter | undefined> {
  const holder = await readHolder(root)
  return holder !== undefined && isLocked(join(root, LOCK_NAME)) ? holder : undefined
}

function isLocked(path: string): boolean {
  let database: Database.Database | undefined
  try {
    database = new Database(path, { timeout: 0, readonly: true, fileMustExist: true })
    database.prepare('SELECT COUNT(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
  } finally {
    database?.close()
  }
}

async function lockFile(root: string, path: string): Promise<Database.Database> {
  let database: Database.Database | undefined
  try {
    database = new Database(path, { timeout: 0 })
    // The transaction is never written to, so it must not make a journal file either.
    database.pragma('journal_mode = MEMORY')
    database.pragma('locking_mode = EXCLUSIVE')
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    throw await lockError(root, error)
  }
}

async function lockError(root: string, error: unknown): Promise<Error> {
  const code = error instanceof Database.SqliteError ? error.code : 'none'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    const holder = await readHolder(root)
    const who =
      holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}, started ${holder.startedAt}`
    return new ArchiveError('ARCHIVE_LOCKED', `${root} is in use by ${who}`, {
      cause: error,
      hint:
        'Only one process may write in an archive. Commands that only read work beside it; the others go through the ' +
        'running service. The lock is free as soon as that process ends.',
      details: { root, ...holder },
    })
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN') || code === 'SQLITE_PERM') {
    return new ArchiveError('ARCHIVE_READ_ONLY', `${LOCK_NAME}: the archive may not be written (${code})`, {
      cause: error,
      hint: 'Check the mount options, the owner and the permissions of the archive folder.',
    })
  }
  return new ArchiveError('DISK_FAILED', `${LOCK_NAME}: the lock cannot be taken (${code})`, {
    cause: error,
    hint: 'Does this file system have file locks? If the file is damaged, remove it while nothing runs.',
  })
}

async function refuseOddFile(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isFile()) return
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw new ArchiveError('DISK_FAILED', `${LOCK_NAME}: cannot be looked at`, { cause: error })
  }
  throw new ArchiveError('DISK_FAILED', `${LOCK_NAME}: not a regular file`, {
    hint: 'Something else has the name of the lock file. Look at it and move it away.',
  })
}

async function writeHolder(root: string): Promise<void> {
  const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString()
  const text = `${JSON.stringify({ pid: process.pid, host: hostname(), startedAt })}\n`
  // For a message only: a full disk must not keep anyone from taking the lock and freeing space.
  await replaceFileDurably(join(root, HOLDER_NAME), Buffer.from(text)).catch(() => undefined)
}

/** undefined where no note can be read. One that a killed process left is still there. */
async function readHolder(root: string): Promise<ArchiveWriter | undefined> {
  try {
    const bytes = await readRegularFile(join(root, HOLDER_NAME), HOLDER_NAME, MAX_HOLDER_BYTES)
    const { pid, host, startedAt } = JSON.parse(String(bytes)) as Record<string, unknown>
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof startedAt !== 'string') return undefined
    return { pid, host, startedAt }
  } catch {
    return undefined
  }
}
