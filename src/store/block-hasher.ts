import type { BlockHolder, BlockMemory } from '../lib/block-memory.ts'
import type { FileDigests, FileFollower, HashPool } from '../lib/hash-files.ts'
import type { Span } from '../lib/hash-files-worker.ts'
import type { BlockMap } from './block-map.ts'
import type { FilledBlock } from './block-writer.ts'

/** What a worker hashes in one go, from memory or from the file: between two goes the disk rests. */
const MAX_SPANS = 4
const MAX_FILE_BLOCKS = 32
/**
 * For so many blocks that are read from the file one that waits in memory may be given up. More would be read again than
 * is won: the hash is behind then, not the network.
 */
const READ_FOR_ONE_GIVEN_UP = 2
/** While the worker hashes one step from memory the next waits there already. */
const STEPS_AHEAD = 2

interface Resident {
  readonly filled: FilledBlock
  isWritten: boolean
  /** `taken` while a worker reads it. */
  hash: 'due' | 'taken' | 'done'
}

export interface BlockHasherOptions {
  readonly pool: HashPool
  readonly path: string
  readonly blocks: BlockMap
  readonly withGitOid: boolean
  /** Hash bytes in the memory they are written from; otherwise they are read back from the page cache. */
  readonly fromMemory: boolean
}

/**
 * Hashes a file's blocks strictly in order, however they arrive, and gives their memory back. A block's memory is given
 * back only when its own write has ended and no hash reads it; one whose turn is far off is given up earlier, once it
 * is written, when all memory waits for its turn, and is read from the file when its own comes.
 */
export class BlockHasher implements BlockHolder {
  readonly #options: BlockHasherOptions
  readonly #memory: BlockMemory
  readonly #follower: FileFollower
  readonly #resident = new Map<number, Resident>()
  /** Blocks that are in the file. */
  readonly #written: Uint8Array
  readonly #closed = new AbortController()
  readonly #endHolding: () => void
  #next = 0
  readonly #steps = new Set<Promise<void>>()
  #isReadingFile = false
  /** Blocks that may be given up for what was read. */
  #mayGiveUp = 0
  #failure: Error | undefined

  constructor(options: BlockHasherOptions) {
    const { pool, path, blocks } = options
    this.#options = options
    this.#memory = pool.memory
    const gitOid = options.withGitOid ? 'always' : 'if-small'
    this.#follower = pool.follow(path, { size: blocks.size, gitOid, isDirect: options.fromMemory })
    this.#written = Uint8Array.from({ length: blocks.count }, (_, index) => (blocks.isHeld(index) ? 1 : 0))
    this.#endHolding = this.#memory.addHolder(this)
    this.#pump()
  }

  /** A whole block whose memory nobody changes from now on. */
  offer(filled: FilledBlock): void {
    this.#resident.set(filled.index, { filled, isWritten: false, hash: 'due' })
    this.#pump()
  }

  /** The write of an offered block has ended. */
  wrote(index: number): void {
    this.#written[index] = 1
    const resident = this.#resident.get(index)
    if (resident === undefined) return
    resident.isWritten = true
    if (!this.#options.fromMemory || this.#failure !== undefined) resident.hash = 'done'
    this.#settle(resident)
    this.#pump()
  }

  /** Whether the file is the one that is being written. @throws errno errors */
  async reads(file: { readonly dev: bigint; readonly ino: bigint }, signal: AbortSignal): Promise<boolean> {
    const read = await this.#follower.identity(signal)
    return read.ino === file.ino && read.dev === file.dev
  }

  /** Once every block is written. @throws errno errors */
  async digests(signal: AbortSignal): Promise<FileDigests> {
    while (this.#steps.size > 0) {
      signal.throwIfAborted()
      await Promise.all(this.#steps)
    }
    if (this.#failure !== undefined) throw this.#failure
    return this.#follower.digests(signal)
  }

  /** Gives all memory back. The writes of offered blocks have ended, or failed. */
  close(): void {
    this.#closed.abort()
    this.#endHolding()
    this.#follower.close()
    const left = [...this.#resident.values()]
    this.#resident.clear()
    void this.#giveBackWhenUnread(left)
  }

  /** A worker may still read what it was given last. */
  async #giveBackWhenUnread(left: readonly Resident[]): Promise<void> {
    await Promise.all(this.#steps)
    for (const { filled } of left) this.#memory.giveBack(filled.block)
  }

  #pump(): void {
    for (let step = this.#nextStep(); step !== undefined; step = this.#nextStep()) {
      const running: Promise<void> = step
        .catch((error: unknown) => this.#giveUp(error))
        .finally(() => {
          this.#steps.delete(running)
          this.#pump()
          // Whoever waits for memory may have to ask for some of ours now.
          if (this.#steps.size === 0 || this.#mayGiveUp >= 1) this.#memory.wake()
        })
      this.#steps.add(running)
    }
  }

  #nextStep(): Promise<void> | undefined {
    if (this.#closed.signal.aborted || this.#failure !== undefined || this.#isReadingFile) return undefined
    if (this.#steps.size >= STEPS_AHEAD) return undefined
    const step = this.#options.fromMemory ? this.#fromMemory() : undefined
    return step ?? (this.#steps.size === 0 ? this.#fromFile() : undefined)
  }

  #giveUp(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    for (const resident of this.#resident.values()) if (resident.hash === 'due') resident.hash = 'done'
    for (const resident of this.#resident.values()) this.#settle(resident)
  }

  #fromMemory(): Promise<void> | undefined {
    const taken: Resident[] = []
    while (taken.length < MAX_SPANS) {
      const resident = this.#resident.get(this.#next)
      if (resident === undefined) break
      resident.hash = 'taken'
      taken.push(resident)
      this.#next += 1
    }
    if (taken.length === 0) return undefined
    const spans = taken.map(({ filled }) => ({ offset: filled.block.offset, length: filled.length }))
    return this.#hashSpans(spans, taken)
  }

  async #hashSpans(spans: readonly Span[], taken: readonly Resident[]): Promise<void> {
    try {
      await this.#follower.addBytes(spans)
    } finally {
      for (const resident of taken) {
        resident.hash = 'done'
        this.#settle(resident)
      }
    }
  }

  #fromFile(): Promise<void> | undefined {
    const { blocks, fromMemory } = this.#options
    let end = this.#next
    while (end < blocks.count && end - this.#next < MAX_FILE_BLOCKS && this.#written[end] === 1) {
      if (fromMemory && this.#resident.has(end)) break
      end += 1
    }
    if (end === this.#next) return undefined
    const count = end - this.#next
    this.#next = end
    this.#isReadingFile = true
    return this.#readTo(Math.min(blocks.size, blocks.startOf(end)), count)
  }

  async #readTo(end: number, count: number): Promise<void> {
    try {
      await this.#follower.readTo(end, this.#closed.signal)
      this.#mayGiveUp = count / READ_FOR_ONE_GIVEN_UP
    } finally {
      this.#isReadingFile = false
      this.#memory.wake()
    }
  }

  #settle(resident: Resident): void {
    if (!resident.isWritten || resident.hash !== 'done') return
    if (!this.#resident.delete(resident.filled.index)) return
    this.#memory.giveBack(resident.filled.block)
  }

  get willGiveBack(): boolean {
    if (this.#resident.size === 0) return false
    // What is read from the file may be long, and nothing comes back meanwhile.
    if (this.#isReadingFile) return this.#mayGiveUp < 1
    return this.#steps.size > 0 || [...this.#resident.values()].some(({ hash }) => hash !== 'due')
  }

  /** Gives up the written block whose turn is farthest off. */
  giveUpOne(): boolean {
    let farthest: Resident | undefined
    for (const resident of this.#resident.values()) {
      const mayGo = resident.isWritten && resident.hash === 'due'
      if (mayGo && (farthest === undefined || resident.filled.index > farthest.filled.index)) farthest = resident
    }
    if (farthest === undefined) return false
    if (this.#isReadingFile) this.#mayGiveUp -= 1
    farthest.hash = 'done'
    this.#settle(farthest)
    return true
  }
}
