import type { FileHandle } from 'node:fs/promises'
import type { Block } from '../lib/block-memory.ts'
import type { Arrived } from './block-map.ts'
import type { Carrier } from './carried-bytes.ts'
import type { DirectFile } from './direct-file.ts'
import type { PieceJournal } from './piece-journal.ts'

/** Blocks that go to the disk in one call. */
const MAX_BATCH = 2
/** While one write is on the disk the next is on its way there: waiting for each would leave the disk idle in between. */
const WRITES_AT_ONCE = 2
/** A sync holds up the writes beside it; so many bytes of each connection, or those of so long, share one. */
const SYNC_BYTES = 4 * 1024 * 1024
const SYNC_MS = 1000
/** How long it is believed that the file is still ours: looking before each write would hold up the disk. */
const OURS_MS = 25

/** A block, or the beginning of one, in memory on its way to the file. */
export interface FilledBlock extends Arrived {
  readonly index: number
  readonly start: number
  readonly block: Block
  /** Over what it came, where more may come over the same. */
  readonly carrier?: Carrier
  /** How many bytes of it are nowhere else. */
  readonly carriedBytes: number
}

export interface BlockWriterOptions {
  readonly handle: FileHandle
  readonly file: DirectFile
  readonly journal: PieceJournal
  /** Around every write: one at a time for all files, where that is wanted. */
  readonly alone: <T>(write: () => Promise<T>) => Promise<T>
  /** Around every sync while the file arrives: one at a time for all files. */
  readonly syncAlone: <T>(sync: () => Promise<T>) => Promise<T>
  /** Makes the names of file and journal durable, once. */
  readonly syncName: () => Promise<void>
  /** Throws when the file is no longer ours. */
  readonly assertOurs: () => Promise<void>
  /** How many fill the file now. */
  readonly connections: () => number
  /** Whether no more blocks will come. */
  readonly isWhole: () => boolean
  /** The block is in the file, and its memory is not read by any write any more. */
  readonly onWritten: (filled: FilledBlock) => void
  /** The journal has these: a kill does not lose them any more. */
  readonly onNoted: (noted: readonly FilledBlock[]) => void
  /** The block will not be written: something failed before. */
  readonly onDropped: (filled: FilledBlock) => void
  /** The first failure, and whether what was written before is as it was. Never rejects. */
  readonly onFailure: (error: unknown, during: 'write' | 'sync') => Promise<void>
}

/**
 * Writes the blocks of one file, two writes in flight, notes them in the journal while the next are written, and makes both
 * durable now and then as they come: a kill costs nothing of what is noted, a power cut 4 MiB a connection and what came
 * until a sync had its turn and ended. A journal line may outlive its bytes in a power cut: it proves nothing, the final
 * digest does. After the first failure nothing more is written. A block's memory is let go by the end of its own write
 * alone, so their order does not matter.
 */
export class BlockWriter {
  readonly #options: BlockWriterOptions
  #queue: FilledBlock[] = []
  #unnoted: FilledBlock[] = []
  #noting: Promise<void> | undefined
  #oursSinceMs = Number.NEGATIVE_INFINITY
  /** Written since the last sync began. */
  #unsyncedBytes = 0
  #syncedAtMs = Number.NEGATIVE_INFINITY
  readonly #writing = new Set<Promise<void>>()
  #syncing: Promise<void> | undefined
  #hasFailed = false

  constructor(options: BlockWriterOptions) {
    this.#options = options
  }

  /** Never waits; what fails is told to `onFailure`. */
  add(filled: FilledBlock): void {
    if (this.#hasFailed) return this.#options.onDropped(filled)
    this.#queue.push(filled)
    if (this.#writing.size >= WRITES_AT_ONCE) return
    const writing: Promise<void> = this.#writeAll().finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  /** Waits until everything added is written and noted. */
  async drain(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing)
    while (this.#noting !== undefined) await this.#noting
    while (this.#syncing !== undefined) await this.#syncing
  }

  /** Makes durable what is written, bytes before lines. @throws errno errors */
  async sync(): Promise<void> {
    if (this.#unsyncedBytes === 0) return
    this.#unsyncedBytes = 0
    this.#syncedAtMs = performance.now()
    await this.#options.handle.datasync()
    await this.#options.journal.sync()
  }

  async #writeAll(): Promise<void> {
    // The first write starts in a later turn: its promise must be known by then.
    await Promise.resolve()
    const { alone, onWritten, onDropped, onFailure } = this.#options
    let batch: FilledBlock[] = []
    try {
      while (this.#queue.length > 0 && !this.#hasFailed) {
        batch = this.#takeBatch()
        await alone(() => this.#write(batch))
        const written = batch
        batch = []
        for (const { length } of written) this.#unsyncedBytes += length
        this.#note(written)
        for (const filled of written) onWritten(filled)
      }
    } catch (error) {
      this.#hasFailed = true
      await onFailure(error, 'write')
    }
    for (const filled of [...batch, ...this.#queue.splice(0)]) onDropped(filled)
  }

  async #write(batch: readonly FilledBlock[]): Promise<void> {
    // First: what is another's now must not be written over.
    await this.#lookIfOurs()
    const buffers = batch.map(({ block, length }) => block.bytes.subarray(0, length))
    await this.#options.file.write(buffers, batch[0]!.start)
  }

  async #lookIfOurs(): Promise<void> {
    const nowMs = performance.now()
    if (nowMs - this.#oursSinceMs < OURS_MS) return
    await this.#options.assertOurs()
    this.#oursSinceMs = nowMs
  }

  #note(written: readonly FilledBlock[]): void {
    this.#unnoted.push(...written)
    this.#noting ??= this.#noteAll()
  }

  /** Lines that come during one append go into the next. Those of written blocks are worth keeping after a failure, too. */
  async #noteAll(): Promise<void> {
    await Promise.resolve()
    const { journal, isWhole, onNoted, onFailure } = this.#options
    try {
      while (this.#unnoted.length > 0) {
        const noted = this.#unnoted.splice(0)
        await journal.append(noted.map((filled) => [filled.index, filled]))
        onNoted(noted)
        // The end of the file is left to the fsync that has to come anyway.
        if (!isWhole() && this.#isSyncDue())
          this.#syncing ??= this.#syncWritten().finally(() => (this.#syncing = undefined))
      }
    } catch (error) {
      this.#hasFailed = true
      await onFailure(error, 'write')
    }
    // At once, for what is added from now on needs another call.
    this.#noting = undefined
  }

  /** The lowest block of the queue and those that follow it in the file. */
  #takeBatch(): FilledBlock[] {
    const queue = this.#queue.toSorted((a, b) => a.start - b.start)
    let count = 1
    while (count < queue.length && count < MAX_BATCH) {
      const before = queue[count - 1]!
      if (before.start + before.length !== queue[count]!.start) break
      count += 1
    }
    const batch = queue.slice(0, count)
    this.#queue = queue.slice(count)
    return batch
  }

  #isSyncDue(): boolean {
    return (
      this.#unsyncedBytes >= SYNC_BYTES * this.#options.connections() || performance.now() - this.#syncedAtMs >= SYNC_MS
    )
  }

  async #syncWritten(): Promise<void> {
    await Promise.resolve()
    try {
      await this.#options.syncAlone(async () => {
        if (!this.#hasFailed) await this.sync()
      })
      await this.#options.syncName()
    } catch (error) {
      this.#hasFailed = true
      await this.#options.onFailure(error, 'sync')
    }
  }
}
