import { lstat, open, rename, type FileHandle } from 'node:fs/promises'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, OPEN_NEW, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'
import type { Piece } from '../lib/hash-files.ts'

const FORMAT = 'weightvault-pieces/1'
const MAX_PIECE_BYTES = 1024 * 1024 * 1024

/** What a journal is about: whose bytes, how many in all, and the unit of resume. */
export interface JournalHead {
  readonly key: ContentKey
  readonly size: number
  readonly pieceBytes: number
}

/**
 * The pieces of a journal's text, in order from byte 0; undefined when it is not a journal of these bytes. A torn last
 * line counts as not written. A short last piece, written at a pause, is superseded by a later line of the same number.
 */
export function parseJournal(
  text: string,
  key: ContentKey,
  size: number,
): { head: JournalHead; pieces: Piece[] } | undefined {
  const lines = text.split('\n').slice(0, -1)
  const head = parseHead(lines.shift() ?? '', key, size)
  if (head === undefined) return undefined
  const pieces: Piece[] = []
  for (const line of lines) {
    const match = /^(\d{1,10}) (\d{1,10}) ([0-9a-f]{8})$/.exec(line)
    if (match === null) return undefined
    const piece = { length: Number(match[2]), crc: Number.parseInt(match[3]!, 16) }
    if (!addPiece(pieces, Number(match[1]), piece, head)) return undefined
  }
  return { head, pieces }
}

function parseHead(line: string, key: ContentKey, size: number): JournalHead | undefined {
  const match = /^(\S+) (\S+) (\d{1,16}) (\d{1,10})$/.exec(line)
  if (match === null || match[1] !== FORMAT || match[2] !== key || Number(match[3]) !== size) return undefined
  const pieceBytes = Number(match[4])
  return pieceBytes >= 1 && pieceBytes <= MAX_PIECE_BYTES ? { key, size, pieceBytes } : undefined
}

/** Adds a piece in its order; false where the line cannot be true. */
function addPiece(pieces: Piece[], index: number, piece: Piece, { pieceBytes, size }: JournalHead): boolean {
  const last = pieces.at(-1)
  const isLastShort = last !== undefined && last.length < pieceBytes
  if (isLastShort && index === pieces.length - 1 && piece.length > last.length) pieces.pop()
  else if (isLastShort || index !== pieces.length) return false
  if (piece.length < 1 || piece.length > pieceBytes || index * pieceBytes + piece.length > size) return false
  pieces.push(piece)
  return true
}

function printPieces(pieces: readonly Piece[], firstIndex: number): string {
  return pieces
    .map(({ length, crc }, offset) => `${firstIndex + offset} ${length} ${crc.toString(16).padStart(8, '0')}\n`)
    .join('')
}

/**
 * The file beside a partial that has the CRC-32 of each piece as it arrived. It proves nothing: it says which old bytes
 * may be worth keeping. Each opening makes a new file, so its inode also tells who owns the partial now.
 */
export class PieceJournal {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #inode: bigint
  #length: number

  private constructor(path: string, handle: FileHandle, inode: bigint, length: number) {
    this.#path = path
    this.#handle = handle
    this.#inode = inode
    this.#length = length
  }

  /** Replaces the journal by one that has these pieces. @throws errno errors */
  static async create(path: string, head: JournalHead, pieces: readonly Piece[]): Promise<PieceJournal> {
    invariant(head.pieceBytes >= 1 && head.pieceBytes <= MAX_PIECE_BYTES, 'a piece has 1 byte to 1 GiB')
    const fresh = `${path}.new`
    await unlinkIfThere(fresh)
    const handle = await open(fresh, OPEN_NEW, 0o640)
    try {
      const bytes = Buffer.from(`${FORMAT} ${head.key} ${head.size} ${head.pieceBytes}\n${printPieces(pieces, 0)}`)
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

  /** Adds lines for pieces whose bytes are durable. @throws errno errors */
  async append(pieces: readonly Piece[], firstIndex: number): Promise<void> {
    const bytes = Buffer.from(printPieces(pieces, firstIndex))
    await writeAll(this.#handle, bytes, this.#length)
    this.#length += bytes.length
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
