import { constants } from 'node:fs'
import { chmod, lstat, open, type FileHandle } from 'node:fs/promises'
import { ArchiveError } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, readRegularFile, unlinkIfThere } from '../lib/fs-durable.ts'
import type { HashPool, Piece } from '../lib/hash-files.ts'
import type { Log } from '../ports.ts'
import type { Layout } from './layout.ts'
import { parseJournal, PieceJournal } from './piece-journal.ts'
import { moveToQuarantine } from './quarantine.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024

/** What a partial file works with. */
export interface PartialContext {
  readonly layout: Layout
  readonly pool: HashPool
  readonly log: Log
  /** Unit of resume for new partials. */
  readonly pieceBytes: number
}

/** An open partial whose first `pieces` are proven to be what arrived. */
export interface OpenedPartial {
  readonly handle: FileHandle
  readonly journal: PieceJournal
  readonly pieces: readonly Piece[]
  readonly pieceBytes: number
}

/** A new, empty partial; what had its name is gone. @throws errno errors */
export async function createPartial(context: PartialContext, key: ContentKey, size: number): Promise<OpenedPartial> {
  const path = context.layout.partialFile(key)
  await unlinkIfThere(path)
  const head = { key, size, pieceBytes: context.pieceBytes }
  const journal = await PieceJournal.create(context.layout.pieceJournal(key), head, [])
  try {
    const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o640)
    return { handle, journal, pieces: [], pieceBytes: context.pieceBytes }
  } catch (error) {
    await journal.close()
    throw error
  }
}

/**
 * Opens what an earlier process left of these bytes, cut back to the longest prefix whose pieces, read again, still have
 * the CRC-32 taken on arrival; a new partial where there is none.
 * @throws errno errors
 */
export async function openOrResume(
  context: PartialContext,
  key: ContentKey,
  size: number,
  signal: AbortSignal,
): Promise<OpenedPartial> {
  const { layout, log } = context
  await setAsideIfOdd(context, layout.partialFile(key))
  await setAsideIfOdd(context, layout.pieceJournal(key))
  const found = await goodPrefix(context, key, size, signal)
  if (found === undefined) return createPartial(context, key, size)
  const { pieces, pieceBytes, discarded } = found
  const kept = lengthOf(pieces)
  const handle = await openPrefix(layout.partialFile(key), kept, size)
  if (handle === undefined) return createPartial(context, key, size)
  try {
    const journal = await PieceJournal.create(layout.pieceJournal(key), { key, size, pieceBytes }, pieces)
    log.info({ key, sizeBytes: size, keptBytes: kept, discardedBytes: discarded }, 'partial resumed')
    return { handle, journal, pieces, pieceBytes }
  } catch (error) {
    await handle.close()
    throw error
  }
}

export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

async function goodPrefix(
  context: PartialContext,
  key: ContentKey,
  size: number,
  signal: AbortSignal,
): Promise<{ pieces: readonly Piece[]; pieceBytes: number; discarded: number } | undefined> {
  const path = context.layout.partialFile(key)
  const bytesThere = await fileSize(path)
  if (bytesThere === undefined || bytesThere > size) return undefined
  const journalPath = context.layout.pieceJournal(key)
  const text = await readRegularFile(journalPath, context.layout.shown(journalPath), MAX_JOURNAL_BYTES)
  const journal = parseJournal(text?.toString('latin1') ?? '', key, size)
  if (journal === undefined) return undefined
  const count = await context.pool.countGoodPieces(path, journal.pieces, signal)
  if (count === 0) return undefined
  const pieces = journal.pieces.slice(0, count)
  return { pieces, pieceBytes: journal.head.pieceBytes, discarded: bytesThere - lengthOf(pieces) }
}

/**
 * A finished partial is opened for reading only: it may already be a published blob. So may any other with a second
 * name; undefined then, for its bytes must not be written to.
 */
async function openPrefix(path: string, kept: number, size: number): Promise<FileHandle | undefined> {
  const before = await lstat(path)
  if (kept === size && before.size === size) return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if (before.nlink !== 1) return undefined
  if ((before.mode & 0o200) === 0) await chmod(path, 0o640)
  const handle = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
  try {
    const facts = await handle.stat()
    if (facts.ino !== before.ino) {
      throw new ArchiveError('ARCHIVE_LOCKED', 'a partial file was replaced while it was opened', {
        hint: 'Another process writes in this archive. Stop it and try again.',
      })
    }
    await handle.truncate(kept)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Links, folders and pipes are never followed or opened: they are moved away, with a note, for a person to look at. */
async function setAsideIfOdd({ layout, log }: PartialContext, path: string): Promise<void> {
  const facts = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  })
  if (facts === undefined || facts.isFile()) return
  const movedTo = await moveToQuarantine(layout, path, {
    reason: 'something that is no regular file had the name of a partial download',
    at: new Date().toISOString(),
    repo: undefined,
    commit: undefined,
    path: layout.shown(path),
    expected: 'a regular file',
    actual: facts.isSymbolicLink() ? 'a symbolic link' : facts.isDirectory() ? 'a folder' : 'a special file',
    size: facts.size,
  })
  log.warn({ path: layout.shown(path), movedTo: movedTo && layout.shown(movedTo) }, 'foreign partial set aside')
}
