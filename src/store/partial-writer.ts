import { lstat, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { BlockChecks } from '../blob-port.ts'
import { ArchiveError, invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, syncDirectory, unlinkIfThere } from '../lib/fs-durable.ts'
import { hashBytes, type FileDigests } from '../lib/hash-files.ts'
import { BlockClaim, type BegunBlock } from './block-claim.ts'
import { BlockHasher } from './block-hasher.ts'
import type { Arrived, BlockMap } from './block-map.ts'
import { BlockWriter, type FilledBlock } from './block-writer.ts'
import { DirectFile } from './direct-file.ts'
import type { PieceJournal } from './piece-journal.ts'
import type { OpenedPartial, PartialContext } from './resume-partial.ts'
import { storeError } from './store-error.ts'

/** Blocks in memory that are not on disk yet, for each connection, with the one being filled: one piece. */
const MAX_BACKLOG = 4
/** Read back whole; larger files are hashed by the pool while they grow. */
const SMALL_BYTES = 256 * 1024
/** A write that fails so leaves the bytes before it as they are. After any other error no byte can be trusted. */
const KEEPS_BYTES = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EMFILE', 'ENFILE']

/**
 * One partial file on disk, from opening to closing: hands out ranges, writes and hashes their blocks as they fill.
 * After the first failure nothing more is written.
 */
export class PartialWriter {
  readonly #context: PartialContext
  readonly #key: ContentKey
  readonly #path: string
  readonly #handle: FileHandle
  readonly #file: DirectFile
  readonly #journal: PieceJournal
  readonly #blocks: BlockMap
  readonly #writer: BlockWriter
  #hasher: BlockHasher | undefined
  /** Blocks begun by claims that ended, by index. */
  readonly #begun = new Map<number, BegunBlock>()
  #appending: BlockClaim | undefined
  #appendAt: number | undefined
  /** Ranges that are being filled. */
  #claims = 0
  #isNameDurable = false
  #failure: Error | undefined
  #isRemoved = false

  private constructor(context: PartialContext, key: ContentKey, opened: OpenedPartial, file: DirectFile) {
    this.#context = context
    this.#key = key
    this.#path = context.layout.partialFile(key)
    this.#handle = opened.handle
    this.#file = file
    this.#journal = opened.journal
    this.#blocks = opened.blocks
    this.#hasher = this.#startHasher()
    this.#writer = new BlockWriter({
      handle: this.#handle,
      file,
      journal: this.#journal,
      alone: context.alone,
      syncAlone: context.syncAlone,
      syncName: () => this.#syncName(),
      assertOurs: async () => {
        if (!(await this.#journal.isOurs())) throw this.#takenOver()
      },
      connections: () => this.#connections,
      isWhole: () => this.#blocks.isWhole,
      onWritten: (filled) => this.#onWritten(filled),
      onNoted: () => context.pool.memory.wake(),
      onDropped: (filled) => this.#onDropped(filled),
      onFailure: async (error, during) => {
        await this.#fail(error, during === 'write' && isErrno(error, ...KEEPS_BYTES))
      },
    })
  }

  static async open(context: PartialContext, key: ContentKey, opened: OpenedPartial): Promise<PartialWriter> {
    const file = await DirectFile.open(context.layout.partialFile(key), opened.handle, opened.blocks.size)
    return new PartialWriter(context, key, opened, file)
  }

  get position(): number {
    return this.#appendAt ?? this.#blocks.position
  }

  get heldBytes(): number {
    return this.#blocks.heldBytes
  }

  get isWhole(): boolean {
    return this.#blocks.isWhole
  }

  get blockBytes(): number {
    return this.#blocks.blockBytes
  }

  /** The first failure; all later writes throw it. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** CRC-32 of every block as it arrived. */
  checks(): BlockChecks {
    const { size, blockBytes, count } = this.#blocks
    return { size, blockBytes, crcs: Uint32Array.from({ length: count }, (_, index) => this.#blocks.crcOf(index)) }
  }

  async claim(maxBytes: number): Promise<BlockClaim | undefined> {
    this.#assertUsable()
    const run = this.#blocks.claim(Math.floor(maxBytes / this.#blocks.blockBytes))
    if (run === undefined) return undefined
    const begun = await this.#takeBegun(run.first)
    this.#claims += 1
    return new BlockClaim({
      blocks: this.#blocks,
      memory: this.#context.pool.memory,
      ...run,
      begun,
      mayFill: () => this.#mayFill(),
      assertUsable: () => this.#assertUsable(),
      onFull: (filled) => this.#onFull(filled),
      onReleased: (index, end, left) => this.#onReleased(index, end, left),
    })
  }

  /** Bytes after `position`; waits only when the disk is behind. Those that are held already are passed over. */
  async append(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#assertUsable()
    this.#appendAt ??= this.#blocks.position
    for (let rest = chunk; rest.length > 0;) {
      const index = Math.floor(this.#appendAt / this.#blocks.blockBytes)
      const taken = this.#blocks.isHeld(index)
        ? Math.min(rest.length, this.#blocks.startOf(index) + this.#blocks.lengthOf(index) - this.#appendAt)
        : await this.#fill(rest, signal)
      this.#appendAt += taken
      rest = rest.subarray(taken)
    }
  }

  /**
   * Writes and fsyncs everything and makes the file read-only. No byte of it changes afterwards.
   * @throws ArchiveError; after a failed fsync the file is removed
   */
  async seal(): Promise<void> {
    this.#writeBegun()
    await this.#writer.drain()
    this.#assertUsable()
    try {
      await this.#assertOurs()
      await this.#handle.chmod(0o440).catch((error: unknown) => {
        // Some network and FAT file systems have no modes.
        if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP')) throw error
      })
      await this.#handle.sync()
    } catch (error) {
      throw await this.#fail(error, false)
    }
  }

  /** Digests of what is in the sealed file. May be asked again after an abort. @throws errno errors */
  async readBack(signal: AbortSignal): Promise<FileDigests> {
    if (!this.#blocks.isWhole) return this.#context.pool.hashFile(this.#path, signal)
    if (this.#blocks.size <= SMALL_BYTES) return hashBytes(await this.#readWhole())
    this.#hasher ??= this.#startHasher()!
    if (!(await this.#hasher.reads(await this.identity(), signal))) throw this.#takenOver()
    const digests = await this.#hasher.digests(signal)
    this.#hasher.close()
    this.#hasher = undefined
    return digests
  }

  /**
   * What is still as it arrived when the digest of all is wrong: every block without those whose CRC-32 differs.
   * @throws errno errors
   */
  async undamaged(signal: AbortSignal): Promise<Map<number, Arrived>> {
    const arrived = Array.from({ length: this.#blocks.count }, (_, index) => ({
      length: this.#blocks.lengthOf(index),
      crc: this.#blocks.crcOf(index),
    }))
    const bad = new Set(await this.#context.pool.findBadPieces(this.#path, arrived, signal))
    return new Map([...arrived.entries()].filter(([index]) => !bad.has(index)))
  }

  /** The file behind the name, as it is now. */
  async identity(): Promise<{ dev: bigint; ino: bigint; mtimeNs: bigint }> {
    const { dev, ino, mtimeNs } = await this.#handle.stat({ bigint: true })
    return { dev, ino, mtimeNs }
  }

  /** Makes everything that was accepted durable, unfinished blocks included, so that a resume can start there. */
  async keepForResume(): Promise<void> {
    if (this.#failure !== undefined) return
    this.#writeBegun()
    await this.#writer.drain()
    if (this.#failure !== undefined) return
    try {
      await this.#writer.sync()
    } catch (error) {
      throw await this.#fail(error, false)
    }
  }

  /** Waits for what is under way and closes; the file stays as it is. */
  async close(): Promise<void> {
    await this.#writer.drain()
    this.#appending?.release()
    for (const { block } of this.#begun.values()) this.#context.pool.memory.giveBack(block)
    this.#begun.clear()
    this.#hasher?.close()
    this.#hasher = undefined
    await this.#file.close()
    await this.#handle.close()
    await this.#journal.close()
  }

  async #fill(chunk: Uint8Array, signal: AbortSignal): Promise<number> {
    this.#appending ??= await this.claim(this.#blocks.blockBytes)
    const claim = this.#appending
    invariant(claim !== undefined && claim.position === this.#appendAt, 'bytes are appended where they are missing')
    await claim.room(signal)
    const taken = chunk.subarray(0, claim.view()!.length)
    claim.view()!.set(taken)
    claim.filled(taken.length)
    if (claim.position === claim.end) {
      this.#appending = undefined
      claim.release()
    }
    return taken.length
  }

  /** What is there of a block that is claimed again: in memory, or on disk since an earlier process. */
  async #takeBegun(index: number): Promise<BegunBlock | undefined> {
    const inMemory = this.#begun.get(index)
    this.#begun.delete(index)
    if (inMemory !== undefined) return inMemory
    const kept = this.#blocks.takeBegun(index)
    const block = kept === undefined ? undefined : this.#context.pool.memory.take()
    if (kept === undefined || block === undefined) return undefined
    const bytes = block.bytes.subarray(0, kept.length)
    const { bytesRead } = await this.#handle.read(bytes, 0, kept.length, this.#blocks.startOf(index))
    if (bytesRead === kept.length && crc32(bytes) === kept.crc) return { block, ...kept }
    this.#context.pool.memory.giveBack(block)
    return undefined
  }

  #onFull(filled: FilledBlock): void {
    this.#blocks.hold(filled.index, filled.crc)
    if (this.#failure !== undefined) return this.#context.pool.memory.giveBack(filled.block)
    this.#hasher?.offer(filled)
    this.#writer.add(filled)
  }

  /** Each has claimed what it fetches now and what it fetches next. */
  get #connections(): number {
    return Math.max(1, Math.ceil(this.#claims / 2))
  }

  /** Whether a claim may take memory now: a kill loses no more than one piece a connection. */
  #mayFill(): boolean {
    return this.#failure === undefined && this.#writer.backlog < MAX_BACKLOG * this.#connections
  }

  #onReleased(index: number, end: number, begun: BegunBlock | undefined): void {
    this.#claims -= 1
    if (begun !== undefined) this.#begun.set(index, begun)
    for (let each = index; each < end; each += 1) this.#blocks.release(each)
  }

  #onWritten(filled: FilledBlock): void {
    const isWhole = filled.length === this.#blocks.lengthOf(filled.index)
    if (isWhole && this.#hasher !== undefined) this.#hasher.wrote(filled.index)
    else this.#context.pool.memory.giveBack(filled.block)
    this.#context.pool.memory.wake()
  }

  /** A block that was to be written after a failure. */
  #onDropped(filled: FilledBlock): void {
    const isOffered = filled.length === this.#blocks.lengthOf(filled.index) && this.#hasher !== undefined
    if (!isOffered) this.#context.pool.memory.giveBack(filled.block)
  }

  #writeBegun(): void {
    this.#appending?.release()
    this.#appending = undefined
    for (const [index, begun] of this.#begun) {
      this.#begun.delete(index)
      this.#writer.add({ index, start: this.#blocks.startOf(index), ...begun })
    }
  }

  #startHasher(): BlockHasher | undefined {
    if (this.#blocks.size <= SMALL_BYTES) return undefined
    return new BlockHasher({
      pool: this.#context.pool,
      path: this.#path,
      blocks: this.#blocks,
      withGitOid: this.#key.startsWith('git-'),
      fromMemory: this.#file.isDirect,
    })
  }

  async #syncName(): Promise<void> {
    if (this.#isNameDurable) return
    this.#isNameDurable = true
    await syncDirectory(this.#context.layout.partial)
  }

  async #readWhole(): Promise<Uint8Array> {
    // One byte more than expected shows a file that is too long.
    const bytes = Buffer.alloc(this.#blocks.size + 1)
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
    this.#context.pool.memory.wake()
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
