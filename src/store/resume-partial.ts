import { constants } from 'node:fs'
import { chmod, lstat, open, type FileHandle } from 'node:fs/promises'
import { ArchiveError } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, readRegularFile, unlinkIfThere } from '../lib/fs-durable.ts'
import type { HashPool } from '../lib/hash-files.ts'
import type { Log } from '../log-port.ts'
import { BlockMap, type Arrived } from './block-map.ts'
import type { CarriedBytes } from './carried-bytes.ts'
import type { Layout } from './layout.ts'
import { parseJournal, PieceJournal } from './piece-journal.ts'
import { setForeignAside } from './quarantine.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024

/** What a partial file works with. */
export interface PartialContext {
  readonly layout: Layout
  readonly pool: HashPool
  readonly log: Log
  /** Of all files: one connection may bring bytes of several. */
  readonly carried: CarriedBytes
  /** Unit of resume for new partials. */
  readonly blockBytes: number
  /** One write at a time for all files, each in its order: what a disk with a moving head wants. */
  readonly sequential: boolean
  /** Around every write. */
  readonly alone: <T>(write: () => Promise<T>) => Promise<T>
  /** Around the syncs of files that still arrive: side by side they would take all system threads from the writes. */
  readonly syncAlone: <T>(sync: () => Promise<T>) => Promise<T>
}

/** An open partial and what its journal says of it. The final digest proves that; where it fails, the CRCs find why. */
export interface OpenedPartial {
  readonly handle: FileHandle
  readonly journal: PieceJournal
  readonly blocks: BlockMap
}

/** A new, empty partial; what had its name is gone. @throws errno errors */
export async function createPartial(context: PartialContext, key: ContentKey, size: number): Promise<OpenedPartial> {
  const path = context.layout.partialFile(key)
  await unlinkIfThere(path)
  const head = { key, size, blockBytes: context.blockBytes }
  const journal = await PieceJournal.create(context.layout.pieceJournal(key), head, new Map())
  try {
    const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o640)
    return { handle, journal, blocks: new BlockMap(size, context.blockBytes) }
  } catch (error) {
    await journal.close()
    throw error
  }
}

/**
 * Opens what an earlier process left of these bytes; a new partial where there is nothing. Nothing of it is believed yet:
 * the bytes are hashed while the rest arrives.
 * @throws errno errors
 */
export async function openOrResume(context: PartialContext, key: ContentKey, size: number): Promise<OpenedPartial> {
  const { layout, log } = context
  await setAsideIfOdd(context, layout.partialFile(key))
  await setAsideIfOdd(context, layout.pieceJournal(key))
  await setAsideIfOdd(context, layout.newPieceJournal(key))
  const found = await readLeft(context, key, size)
  if (found === undefined) return createPartial(context, key, size)
  const { arrived, blockBytes, end } = found
  const blocks = new BlockMap(size, blockBytes, arrived)
  const handle = await openLeft(layout.partialFile(key), { end, isWhole: blocks.isWhole, size })
  if (handle === undefined) return createPartial(context, key, size)
  try {
    const journal = await PieceJournal.create(layout.pieceJournal(key), { key, size, blockBytes }, arrived)
    log.info({ key, sizeBytes: size, keptBytes: blocks.heldBytes }, 'partial resumed')
    return { handle, journal, blocks }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** What the journal names and the file is long enough for. */
async function readLeft(
  context: PartialContext,
  key: ContentKey,
  size: number,
): Promise<{ arrived: Map<number, Arrived>; blockBytes: number; end: number } | undefined> {
  const bytesThere = await fileSize(context.layout.partialFile(key))
  if (bytesThere === undefined || bytesThere > size) return undefined
  const journalPath = context.layout.pieceJournal(key)
  const text = await readRegularFile(journalPath, context.layout.shown(journalPath), MAX_JOURNAL_BYTES)
  const journal = parseJournal(text?.toString('latin1') ?? '', key, size)
  if (journal === undefined) return undefined
  const { blockBytes } = journal.head
  let end = 0
  for (const [index, { length }] of journal.arrived) {
    const blockEnd = index * blockBytes + length
    if (blockEnd > bytesThere) journal.arrived.delete(index)
    else end = Math.max(end, blockEnd)
  }
  return end === 0 ? undefined : { arrived: journal.arrived, blockBytes, end }
}

/**
 * A finished partial is opened for reading only: it may already be a published blob. So may any other with a second
 * name; undefined then, for its bytes must not be written to.
 */
async function openLeft(
  path: string,
  left: { readonly end: number; readonly isWhole: boolean; readonly size: number },
): Promise<FileHandle | undefined> {
  const before = await lstat(path)
  if (left.isWhole && before.size === left.size) return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
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
    await handle.truncate(left.end)
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

async function setAsideIfOdd({ layout, log }: PartialContext, path: string): Promise<void> {
  const movedTo = await setForeignAside(layout, path)
  if (movedTo === undefined) return
  log.warn({ path: layout.shown(path), movedTo: layout.shown(movedTo) }, 'foreign partial set aside')
}
