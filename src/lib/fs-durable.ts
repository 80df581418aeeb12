import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises'
import { constants as osConstants } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { ArchiveError, type ErrorCode } from '../domain/errors.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** For an existing file: never follows a link and never waits for the other end of a fifo. */
export const OPEN_EXISTING = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
/** For a new file: fails when the name is taken, even by a dangling link. */
export const OPEN_NEW = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY

/** What `link` answers where a file system has no hard links, or no more of them for this file. */
export const NO_HARD_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Names of error numbers that Node has no name for and calls "Unknown system error": EDQUOT, ESTALE, … */
const ERRNO_NAMES = new Map(Object.entries(osConstants.errno).map(([name, number]) => [-number, name]))

/** Whether the error is an operating system error with one of these codes (any, when none is given). */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  const name = errnoName(error)
  return name !== undefined && (codes.length === 0 || codes.includes(name))
}

function errnoName(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) return undefined
  const { errno, code } = error as NodeJS.ErrnoException
  return (errno === undefined ? undefined : ERRNO_NAMES.get(errno)) ?? code
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']
const REFUSED = ['EROFS', 'EACCES', 'EPERM']

/**
 * The error a person meets when the disk said no: DISK_FULL, ARCHIVE_READ_ONLY or DISK_FAILED. What is no operating
 * system error comes back as it is.
 * @param shown the file, relative to the archive
 */
export function diskError(error: unknown, shown: string): Error {
  const errno = errnoName(error)
  if (errno === undefined) return error instanceof Error ? error : new Error(String(error))
  const [code, what, hint] = describeErrno(errno)
  const { syscall } = error as NodeJS.ErrnoException
  return new ArchiveError(code, `${shown}: ${what} (${errno}${syscall === undefined ? '' : ` in ${syscall}`})`, {
    cause: error,
    hint,
    details: { path: shown, errno, ...(syscall === undefined ? {} : { syscall }) },
  })
}

function describeErrno(errno: string): [ErrorCode, string, string] {
  if (FULL.includes(errno)) {
    return ['DISK_FULL', 'the disk is full', 'Nothing is lost. Free some space; the work goes on by itself.']
  }
  if (REFUSED.includes(errno)) {
    const hint = 'Nothing was changed. Check the mount options, the owner and the permissions of the archive folder.'
    return ['ARCHIVE_READ_ONLY', 'the archive may not be written', hint]
  }
  if (errno === 'EMFILE' || errno === 'ENFILE') {
    return ['DISK_FAILED', 'too many open files', 'Raise the limit of open files (ulimit -n) for this service.']
  }
  if (errno === 'ENOTDIR' || errno === 'EISDIR') {
    const hint = 'Nothing was changed. Look at what lies there, and move it out of the archive folder.'
    return ['DISK_FAILED', 'something else lies where the archive has a file or a folder', hint]
  }
  const hint = 'Published blobs were not touched. Look at the kernel log and the health of the disk.'
  return ['DISK_FAILED', 'the disk failed', hint]
}

/**
 * Makes the names in a folder durable. File systems that cannot sync a folder (EINVAL, ENOTSUP) are taken as they are.
 * @throws errno errors, EIO above all
 */
export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, O_RDONLY | O_DIRECTORY)
  try {
    await handle.sync()
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error
  }
}

/** The bytes of a file, or pieces of them in order: what is made piece by piece is never in memory whole. */
export type FileContent = Uint8Array | Iterable<Uint8Array>

/** Writes all bytes at `position`, however few each call takes. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written)
    if (result.bytesWritten === 0) throw Object.assign(new Error('write took no bytes'), { code: 'EIO', errno: -5 })
    written += result.bytesWritten
  }
}

/**
 * Makes a folder and every missing parent, top down, each durable before the next. A level seen for the first time by
 * this process is synced even when it exists already: the process that made it may have died before it could.
 * @param known levels this process has made durable; grows
 * @throws errno errors; ENOTDIR where a level is no folder (a link counts as none)
 */
export async function makeDirectories(base: string, parts: readonly string[], known: Set<string>): Promise<string> {
  if (known.size > 10_000) known.clear()
  let path = base
  for (const part of parts) {
    const parent = path
    path = join(parent, part)
    if (known.has(path)) continue
    try {
      await mkdir(path, { mode: 0o750 })
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
      if (!(await lstat(path)).isDirectory()) throw notDirectory(path, error)
    }
    await syncDirectory(parent)
    known.add(path)
  }
  return path
}

function notDirectory(path: string, cause: unknown): Error {
  return Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`, { cause }), { code: 'ENOTDIR', errno: -20 })
}

/**
 * Gives a file a second name without ever replacing what has it. Where the file system has no hard links the file is
 * moved instead, after a look that the name is free: nobody else may be writing in that folder then.
 * @returns 'exists' when the name was taken
 */
export async function linkOnce(from: string, to: string): Promise<'linked' | 'moved' | 'exists'> {
  try {
    await link(from, to)
    return 'linked'
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return 'exists'
    if (!isErrno(error, ...NO_HARD_LINKS)) throw error
  }
  if (await nameIsTaken(to)) return 'exists'
  await rename(from, to)
  return 'moved'
}

/** Whether anything has the name, a link that leads nowhere too. */
export async function nameIsTaken(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** Removes a name; one that is already gone is fine. */
export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

/**
 * Writes a file that must never change: the name appears with all its bytes durable, or not at all, and is never
 * replaced. Temporary files of the same name that a killed process left are removed.
 * @returns 'exists' when the name was taken; what has it was made durable and is otherwise untouched
 * @throws errno errors; nothing is left under the name then
 */
export async function writeFileOnce(path: string, content: FileContent, mode = 0o440): Promise<'written' | 'exists'> {
  const temporary = await writeTemporary(path, content, mode)
  try {
    const outcome = await linkTemporary(temporary, path)
    await syncDirectory(dirname(path))
    return outcome === 'exists' ? 'exists' : 'written'
  } finally {
    await removeTemporaries(path)
  }
}

async function linkTemporary(temporary: string, path: string): Promise<'linked' | 'moved' | 'exists'> {
  try {
    return await linkOnce(temporary, path)
  } catch (error) {
    // Another writer of the same name was faster and cleaned up behind itself.
    if (isErrno(error, 'ENOENT') && (await nameIsTaken(path))) return 'exists'
    throw error
  }
}

/**
 * Puts new content under a name that may change: readers see the old bytes or the new ones, never a mixture.
 * @throws errno errors; the old content stays then
 */
export async function replaceFileDurably(path: string, content: FileContent, mode = 0o640): Promise<void> {
  const temporary = await writeTemporary(path, content, mode)
  try {
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } finally {
    await removeTemporaries(path)
  }
}

async function writeTemporary(path: string, content: FileContent, mode: number): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await using handle = await open(temporary, OPEN_NEW, mode)
    let end = 0
    for (const piece of piecesOf(content)) {
      await writeAll(handle, piece, end)
      end += piece.length
    }
    await handle.sync()
  } catch (error) {
    await unlinkIfThere(temporary).catch(() => undefined)
    throw error
  }
  return temporary
}

function piecesOf(content: FileContent): Iterable<Uint8Array> {
  return content instanceof Uint8Array ? [content] : content
}

async function removeTemporaries(path: string): Promise<void> {
  const folder = dirname(path)
  const prefix = `.${basename(path)}.`
  // Litter is harmless and the next write tries again, so a failure here must not hide the outcome.
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    if (name.startsWith(prefix) && name.endsWith('.tmp')) await unlinkIfThere(join(folder, name)).catch(() => undefined)
  }
}

/**
 * The bytes of a regular file, opened without following a link; undefined when there is none.
 * @throws errno errors; ArchiveError RECORD_INVALID where it is no regular file or longer than `maxBytes`
 */
export async function readRegularFile(path: string, shown: string, maxBytes: number): Promise<Buffer | undefined> {
  const opened = await openRegularFile(path, shown)
  if (opened === undefined) return undefined
  await using file = opened.handle
  if (opened.size > maxBytes) {
    throw new ArchiveError('RECORD_INVALID', `${shown}: ${opened.size} bytes are more than such a file can have`, {
      hint: 'Look at the file and move it away.',
    })
  }
  return file.readFile()
}

/**
 * Whether a regular file holds exactly this, read piece by piece; false where there is none.
 * @throws errno errors; ArchiveError RECORD_INVALID where it is no regular file
 */
export async function fileHolds(path: string, shown: string, content: FileContent): Promise<boolean> {
  const opened = await openRegularFile(path, shown)
  if (opened === undefined) return false
  await using file = opened.handle
  let end = 0
  for (const piece of piecesOf(content)) {
    const bytes = Buffer.allocUnsafe(piece.length)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, end + length)
      if (bytesRead === 0) return false
      length += bytesRead
    }
    if (!bytes.equals(piece)) return false
    end += length
  }
  return opened.size === end
}

async function openRegularFile(path: string, shown: string): Promise<{ handle: FileHandle; size: number } | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, OPEN_EXISTING)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'ENXIO')) throw notRegular(shown, error)
    throw error
  }
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) throw notRegular(shown, undefined)
    return { handle, size: facts.size }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function notRegular(shown: string, cause: unknown): ArchiveError {
  return new ArchiveError('RECORD_INVALID', `${shown}: not a regular file`, {
    cause,
    hint: 'Something else (a link, a folder, a pipe) has this name in the archive. Look at it and move it away.',
  })
}
