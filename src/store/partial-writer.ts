import { lstat, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { ArchiveError } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'
import { hashBytes, type FileDigests, type FileFollower, type Piece } from '../lib/hash-files.ts'
import type { PieceJournal } from './piece-journal.ts'
import { lengthOf, type OpenedPartial, type PartialContext } from './resume-partial.ts'
import { storeError } from './store-error.ts'

/** Chunks are gathered to this, so that a slow peer does not mean many small writes. */
const BUFFER_BYTES = 1024 * 1024
/** Completed pieces that wait for the disk before more bytes are taken. */
const MAX_UNSYNCED_PIECES = 2
/** Read back whole; larger files are hashed by the pool while they grow. */
const SMALL_BYTES = 256 * 1024
/** A write that fails so leaves the bytes before it as they are. After any other error no byte can be trusted. */
const KEEPS_BYTES = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EMFILE', 'ENFILE']

interface UnsyncedPiece extends Piece {
  readonly end: number
}

/**
 * Writes one partial file, from opening to closing. Bytes are gathered, written by one write at a time and made durable
 * piece by piece; only then a piece's CRC-32 goes to the journal and the hash pool may read it back. After the first
 * failure nothing more is written.
 */
export class PartialWriter {
  readonly #context: PartialContext
  readonly #key: ContentKey
  readonly #size: number
  readonly #path: string
  readonly #handle: FileHandle
  readonly #journal: PieceJournal
  readonly #pieceBytes: number
  readonly #bufferBytes: number
  /** Pieces in the journal that no later line supersedes. */
  #journalled: number
  #position: number
  #written: number
  #piece: Piece = { length: 0, crc: 0 }
  #unsynced: UnsyncedPiece[] = []
  #buffer: Buffer | undefined
  #spare: Buffer | undefined
  #filled = 0
  #writing: Promise<void> | undefined
  #syncing: Promise<void> | undefined
  #follower: FileFollower | undefined
  #failure: Error | undefined
  #isRemoved = false

  constructor(context: PartialContext, key: ContentKey, size: number, opened: OpenedPartial) {
    this.#context = context
    this.#key = key
    this.#size = size
    this.#path = context.layout.partialFile(key)
    this.#handle = opened.handle
    this.#journal = opened.journal
    this.#pieceBytes = opened.pieceBytes
    this.#bufferBytes = Math.max(1, Math.min(BUFFER_BYTES, size))
    this.#journalled = opened.pieces.length
    this.#position = lengthOf(opened.pieces)
    this.#written = this.#position
    const last = opened.pieces.at(-1)
    if (last !== undefined && last.length < this.#pieceBytes && this.#position < size) {
      this.#piece = last
      this.#journalled -= 1
    }
    if (this.#position > SMALL_BYTES) this.#follow().advance(this.#position)
  }

  /** Bytes accepted: the place where the next one goes. */
  get position(): number {
    return this.#position
  }

  /** The first failure; all later writes throw it. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Accepts bytes; waits only when the disk is behind. @throws ArchiveError DISK_FULL, DISK_FAILED, … */
  async write(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      rest = rest.subarray(this.#take(rest))
      if (this.#filled === this.#bufferBytes || this.#position === this.#size) await this.#flush()
    }
  }

  /**
   * Writes and fsyncs everything and makes the file read-only. No byte of it changes afterwards.
   * @throws ArchiveError; after a failed fsync the file is removed
   */
  async seal(): Promise<void> {
    await this.#drain()
    this.#assertUsable()
    try {
      await this.#assertOurs()
      await this.#handle.chmod(0o440).catch((error: unknown) => {
        // Some network and FAT file systems have no modes.
        if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP')) throw error
      })
      await this.#handle.sync()
      await this.#record(this.#unsynced)
    } catch (error) {
      throw await this.#fail(error, false)
    }
  }

  /** Digests of what is in the sealed file, read from it. May be asked again after an abort. @throws errno errors */
  async readBack(signal: AbortSignal): Promise<FileDigests> {
    if (this.#position !== this.#size) return this.#context.pool.hashFile(this.#path, signal)
    if (this.#size <= SMALL_BYTES) return hashBytes(await this.#readWhole())
    const follower = this.#follow()
    try {
      const [read, ours] = [await follower.identity(signal), await this.identity()]
      if (read.ino !== ours.ino || read.dev !== ours.dev) throw this.#takenOver()
      return await follower.digests(signal)
    } finally {
      follower.close()
      this.#follower = undefined
    }
  }

  /** The file behind the name, as it is now. */
  async identity(): Promise<{ dev: bigint; ino: bigint; mtimeNs: bigint }> {
    const { dev, ino, mtimeNs } = await this.#handle.stat({ bigint: true })
    return { dev, ino, mtimeNs }
  }

  /** Makes everything that was accepted durable, an unfinished piece included, so that a resume can start there. */
  async keepForResume(): Promise<void> {
    if (this.#failure !== undefined) return
    if (this.#piece.length > 0) this.#endPiece()
    await this.#drain()
    if (this.#failure !== undefined || this.#unsynced.length === 0) return
    try {
      await this.#assertOurs()
      await this.#handle.datasync()
      await this.#record(this.#unsynced)
    } catch (error) {
      throw await this.#fail(error, false)
    }
  }

  /** Waits for what is under way and closes; the file stays as it is. */
  async close(): Promise<void> {
    await this.#writing
    await this.#syncing
    this.#follower?.close()
    await this.#handle.close()
    await this.#journal.close()
  }

  /** Copies the start of a chunk, up to the end of the buffer or the piece. */
  #take(chunk: Uint8Array): number {
    this.#buffer ??= Buffer.allocUnsafeSlow(this.#bufferBytes)
    const room = Math.min(this.#bufferBytes - this.#filled, this.#pieceBytes - this.#piece.length)
    const taken = chunk.subarray(0, room)
    this.#buffer.set(taken, this.#filled)
    this.#filled += taken.length
    this.#position += taken.length
    this.#piece = { length: this.#piece.length + taken.length, crc: crc32(taken, this.#piece.crc) }
    if (this.#piece.length === this.#pieceBytes || this.#position === this.#size) this.#endPiece()
    return taken.length
  }

  #endPiece(): void {
    this.#unsynced.push({ ...this.#piece, end: this.#position })
    this.#piece = { length: 0, crc: 0 }
  }

  /** Starts to write the buffer as soon as the write before it is done. */
  async #flush(): Promise<void> {
    await this.#writing
    this.#assertUsable()
    const buffer = this.#buffer
    if (buffer === undefined || this.#filled === 0) return
    const bytes = buffer.subarray(0, this.#filled)
    this.#buffer = this.#spare
    this.#spare = buffer
    this.#filled = 0
    this.#writing = this.#writeAtEnd(bytes)
    if (this.#unsynced.length > MAX_UNSYNCED_PIECES) await this.#syncing
  }

  /** Never rejects: what fails is thrown by the next call. */
  async #writeAtEnd(bytes: Uint8Array): Promise<void> {
    try {
      if (!(await this.#journal.isOurs())) throw this.#takenOver()
      await writeAll(this.#handle, bytes, this.#written)
      this.#written += bytes.length
      // Cleared in a later turn: a sync that finds nothing to do ends before it could be noted as running.
      this.#syncing ??= this.#syncPieces().finally(() => (this.#syncing = undefined))
    } catch (error) {
      await this.#fail(error, isErrno(error, ...KEEPS_BYTES))
    }
  }

  /** Never rejects. */
  async #syncPieces(): Promise<void> {
    try {
      for (;;) {
        // The end of the file is left to `seal`, which has to fsync it anyway.
        const ready = this.#unsynced.filter(({ end }) => end <= this.#written && end < this.#size)
        const last = ready.at(-1)
        if (last === undefined) break
        await this.#handle.datasync()
        await this.#record(ready)
        if (last.end > SMALL_BYTES) this.#follow().advance(last.end)
      }
    } catch (error) {
      await this.#fail(error, false)
    }
  }

  async #record(pieces: readonly UnsyncedPiece[]): Promise<void> {
    if (pieces.length === 0) return
    await this.#journal.append(pieces, this.#journalled)
    this.#journalled += pieces.length
    this.#unsynced = this.#unsynced.slice(pieces.length)
  }

  async #drain(): Promise<void> {
    await this.#flush()
    await this.#writing
    await this.#syncing
  }

  async #readWhole(): Promise<Uint8Array> {
    // One byte more than expected shows a file that is too long.
    const bytes = Buffer.alloc(this.#size + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await this.#handle.read(bytes, length, bytes.length - length, length)
      length += bytesRead
      if (bytesRead === 0 || length === bytes.length) return bytes.subarray(0, length)
    }
  }

  async #fail(cause: unknown, keepsBytes: boolean): Promise<Error> {
    this.#failure ??= await storeError(this.#context.layout, this.#path, cause)
    if (!keepsBytes && !this.#isRemoved && isErrno(cause)) {
      // After a failed fsync the cache may show bytes that the disk does not have: nothing of this file may be used.
      this.#isRemoved = true
      await unlinkIfThere(this.#path).catch(() => undefined)
      await unlinkIfThere(this.#context.layout.pieceJournal(this.#key)).catch(() => undefined)
    }
    return this.#failure
  }

  /** Two processes never finish one file, even where the archive's lock does nothing (some network disks). */
  async #assertOurs(): Promise<void> {
    if (!(await this.#journal.isOurs())) throw this.#takenOver()
    if (!(await isNamed(this.#path, await this.identity()))) throw this.#takenOver()
  }

  #takenOver(): ArchiveError {
    const shown = this.#context.layout.shown(this.#path)
    return new ArchiveError('ARCHIVE_LOCKED', `${shown}: taken over by another process`, {
      hint: 'Only one process may write in an archive. Stop the other one.',
    })
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #follow(): FileFollower {
    this.#follower ??= this.#context.pool.follow(this.#path, this.#size)
    return this.#follower
  }
}

async function isNamed(path: string, file: { dev: bigint; ino: bigint }): Promise<boolean> {
  try {
    const named = await lstat(path, { bigint: true })
    return named.ino === file.ino && named.dev === file.dev
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
