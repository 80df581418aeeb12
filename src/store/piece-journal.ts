import { lstat, open, rename, type FileHandle } from 'node:fs/promises'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, OPEN_EXISTING, OPEN_NEW, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'
import { BLOCK_BYTES } from '../lib/block-memory.ts'
import type { Arrived } from './block-map.ts'

const FORMAT = 'weightvault-pieces/2'

/** What a journal is about: whose bytes, how many in all, and the unit of resume. */
export interface JournalHead {
  readonly key: ContentKey
  readonly size: number
  readonly blockBytes: number
}

/**
 * What arrived of each block according to a journal's text; undefined when it is not a journal of these bytes. A torn
 * last line counts as not written. Blocks come in any order; a later line of a block supersedes an earlier one, and the
 * same line again says that it came so twice.
 */
export function parseJournal(
  text: string,
  key: ContentKey,
  size: number,
): { head: JournalHead; arrived: Map<number, Arrived> } | undefined {
  const lines = text.split('\n').slice(0, -1)
  const head = parseHead(lines.shift() ?? '', key)
  if (head?.size !== size) return undefined
  const arrived = new Map<number, Arrived>()
  for (const line of lines) {
    const match = /^(\d{1,10}) (\d{1,10}) ([0-9a-f]{8})$/.exec(line)
    if (match === null) return undefined
    const [index, length] = [Number(match[1]), Number(match[2])]
    const isInside = length >= 1 && length <= head.blockBytes && index * head.blockBytes + length <= size
    if (!isInside) return undefined
    const crc = Number.parseInt(match[3]!, 16)
    const earlier = arrived.get(index)
    arrived.set(index, { length, crc, isConfirmed: earlier?.length === length && earlier.crc === crc })
  }
  return { head, arrived }
}

/** Longer than any head. */
const MAX_HEAD_BYTES = 256

/** Whole size of the file that a journal is of; undefined where there is none of these bytes. @throws errno errors */
export async function begunSize(path: string, key: ContentKey): Promise<number | undefined> {
  try {
    await using handle = await open(path, OPEN_EXISTING)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_HEAD_BYTES), 0, MAX_HEAD_BYTES, 0)
    const [line = ''] = buffer.toString('latin1', 0, bytesRead).split('\n')
    return parseHead(line, key)?.size
  } catch (error) {
    // Neither there nor a file: whoever opens the partial next sees to that.
    if (isErrno(error, 'ENOENT', 'ELOOP', 'EISDIR', 'ENXIO')) return undefined
    throw error
  }
}

function parseHead(line: string, key: ContentKey): JournalHead | undefined {
  const match = /^(\S+) (\S+) (\d{1,16}) (\d{1,10})$/.exec(line)
  if (match === null || match[1] !== FORMAT || match[2] !== key) return undefined
  const [size, blockBytes] = [Number(match[3]), Number(match[4])]
  return blockBytes >= 1 && blockBytes <= BLOCK_BYTES ? { key, size, blockBytes } : undefined
}

function printLines(arrived: Iterable<readonly [number, Arrived]>): string {
  let text = ''
  for (const [index, { length, crc, isConfirmed }] of arrived) {
    const line = `${index} ${length} ${crc.toString(16).padStart(8, '0')}\n`
    text += isConfirmed === true ? line + line : line
  }
  return text
}

/**
 * The file beside a partial that has the CRC-32 of each block as it arrived. It proves nothing: it says which old bytes
 * may be worth keeping. Each opening makes a new file, so its inode also tells who owns the partial now.
 */
export class PieceJournal {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #inode: bigint
  #length: number
  /** The last append, successful or not. */
  #appended: Promise<void> = Promise.resolve()

  private constructor(path: string, handle: FileHandle, inode: bigint, length: number) {
    this.#path = path
    this.#handle = handle
    this.#inode = inode
    this.#length = length
  }

  /** Replaces the journal by one that has these blocks. @throws errno errors */
  static async create(path: string, head: JournalHead, arrived: ReadonlyMap<number, Arrived>): Promise<PieceJournal> {
    invariant(head.blockBytes >= 1 && head.blockBytes <= BLOCK_BYTES, 'a block has 1 byte to 1 MiB')
    const fresh = `${path}.new`
    await unlinkIfThere(fresh)
    const handle = await open(fresh, OPEN_NEW, 0o640)
    try {
      const bytes = Buffer.from(`${FORMAT} ${head.key} ${head.size} ${head.blockBytes}\n${printLines(arrived)}`)
      await writeAll(handle, bytes, 0)
      await rename(fresh, path)
      const { ino } = await handle.stat({ bigint: true })
      return new PieceJournal(path, handle, ino, bytes.length)
    } catch (error) {
      await handle.close()
      await unlinkIfThere(fresh).catch(() => undefined)
      throw error
    }
  }

  /** Adds lines for blocks whose bytes are in the file; one call after the other. @throws errno errors */
  append(arrived: Iterable<readonly [number, Arrived]>): Promise<void> {
    const bytes = Buffer.from(printLines(arrived))
    const append = async (): Promise<void> => {
      // What a failed one wrote is written over.
      await writeAll(this.#handle, bytes, this.#length)
      this.#length += bytes.length
    }
    const appended = this.#appended.then(append)
    this.#appended = appended.catch(() => undefined)
    return appended
  }

  /** Makes the lines durable, so that a power cut costs little. @throws errno errors */
  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  /** False as soon as another process, or another opening, took the partial over. */
  async isOurs(): Promise<boolean> {
    try {
      return (await lstat(this.#path, { bigint: true })).ino === this.#inode
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
