import type { FileHandle } from 'node:fs/promises'
import type { BlockChecks } from '../blob-port.ts'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno, syncDirectory, unlinkIfThere } from '../lib/fs-durable.ts'
import { hashBytes, type FileDigests } from '../lib/hash-files.ts'
import { BegunBlocks } from './begun-blocks.ts'
import { BlockAppender } from './block-appender.ts'
import { BlockClaim, type BegunBlock } from './block-claim.ts'
import { BlockHasher } from './block-hasher.ts'
import type { Arrived, BlockMap } from './block-map.ts'
import { BlockWriter, type FilledBlock } from './block-writer.ts'
import { UnnotedBlocks } from './carried-bytes.ts'
import { DirectFile } from './direct-file.ts'
import { PartialOwner, type PartialIdentity } from './partial-owner.ts'
import type { PieceJournal } from './piece-journal.ts'
import type { OpenedPartial, PartialContext } from './resume-partial.ts'
import { storeError } from './store-error.ts'

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
  readonly #owner: PartialOwner
  readonly #blocks: BlockMap
  readonly #writer: BlockWriter
  #hasher: BlockHasher | undefined
  readonly #begun: BegunBlocks
  readonly #appender: BlockAppender
  readonly #unnoted = new UnnotedBlocks()
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
    this.#owner = new PartialOwner(context.layout, this.#path, opened)
    this.#blocks = opened.blocks
    this.#begun = new BegunBlocks(context.pool.memory, opened)
    const appended = context.carried.start().use()
    this.#appender = new BlockAppender(opened.blocks, () => this.claim(opened.blocks.blockBytes, appended))
    this.#hasher = this.#startHasher()
    this.#writer = new BlockWriter({
      handle: this.#handle,
      file,
      journal: this.#journal,
      alone: context.alone,
      syncAlone: context.syncAlone,
      syncName: () => this.#syncName(),
      assertOurs: () => this.#owner.assertJournal(),
      connections: () => this.#connections,
      isWhole: () => this.#blocks.isWhole,
      onWritten: (filled) => this.#onWritten(filled),
      onNoted: (noted) => {
        this.#unnoted.settle(noted)
        context.pool.memory.wake()
      },
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
    return this.#appender.position
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

  async claim(maxBytes: number, carrier = this.#context.carried.start()): Promise<BlockClaim | undefined> {
    this.#assertUsable()
    const run = this.#blocks.claim(Math.floor(maxBytes / this.#blocks.blockBytes), this.#begun)
    if (run === undefined) return undefined
    const begun = await this.#begun.take(run.first)
    this.#claims += 1
    return new BlockClaim({
      blocks: this.#blocks,
      memory: this.#context.pool.memory,
      ...run,
      begun,
      carrier,
      isUsable: () => this.#failure === undefined,
      assertUsable: () => this.#assertUsable(),
      onFull: (filled) => this.#onFull(filled),
      onReleased: (index, end, left) => this.#onReleased(index, end, left),
    })
  }

  /** Bytes after `position`; waits only when the disk is behind. Those that are held already are passed over. */
  async append(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#assertUsable()
    await this.#appender.append(chunk, signal)
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
      await this.#owner.assertNamed()
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
    if (!(await this.#hasher.reads(await this.identity(), signal))) throw this.#owner.takenOver()
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
  identity(): Promise<PartialIdentity> {
    return this.#owner.identity()
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
    this.#unnoted.settle()
    this.#appender.release()
    this.#begun.close()
    this.#hasher?.close()
    this.#hasher = undefined
    await this.#file.close()
    await this.#handle.close()
    await this.#journal.close()
  }

  #onFull(filled: FilledBlock): void {
    this.#blocks.hold(filled.index, filled.crc)
    this.#unnoted.add(filled)
    if (this.#failure !== undefined) {
      this.#unnoted.settle()
      return this.#context.pool.memory.giveBack(filled.block)
    }
    this.#hasher?.offer(filled)
    this.#writer.add(filled)
  }

  /** Each has claimed what it fetches now and what it fetches next. */
  get #connections(): number {
    return Math.max(1, Math.ceil(this.#claims / 2))
  }

  #onReleased(index: number, end: number, begun: BegunBlock | undefined): void {
    this.#claims -= 1
    if (begun !== undefined) this.#begun.keep(index, begun)
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
    this.#appender.release()
    for (const filled of this.#begun.takeAll()) this.#writer.add(filled)
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
    this.#unnoted.settle()
    if (!keepsBytes && !this.#isRemoved && isErrno(cause)) {
      // After a failed fsync the cache may show bytes that the disk does not have: nothing of this file may be used.
      this.#isRemoved = true
      await unlinkIfThere(this.#path).catch(() => undefined)
      await unlinkIfThere(this.#context.layout.pieceJournal(this.#key)).catch(() => undefined)
    }
    this.#context.pool.memory.wake()
    return this.#failure
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
