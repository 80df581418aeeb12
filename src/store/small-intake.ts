import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { SmallContent, SmallIntake, StoredSmall } from '../intake-port.ts'
import { GroupCommit } from '../lib/group-commit.ts'
import { BatchWriter } from './batch-writer.ts'
import type { BatchRequest } from './batch-thread.ts'
import type { BatchResult } from './commit-batch.ts'
import type { Layout } from './layout.ts'
import { MemoryArena, type ArenaRange } from './memory-arena.ts'

const ARENA_BYTES = 8 * 1024 * 1024
/** Files of a batch are open at once, and two batches are under way: far below the usual limit of 1,024. */
const MAX_BATCH = 192
/** So many make a second batch worth its folders' fsyncs. */
const SECOND_BATCH_FROM = 48
/** Less than an fsync takes on most disks. */
const GATHER_MS = 10

/** What the intake asks of the store it belongs to. */
export interface IntakeOwner {
  readonly layout: Layout
  /** Before the first content is written. */
  prepare(): Promise<void>
  /** A folder of blobs is durable as it is now. */
  settled(folder: string): void
}

type BatchItem = BatchRequest['items'][number]

interface Waiter {
  readonly size: number
  readonly resolve: (range: ArenaRange) => void
}

/** Small contents on their way to the disk. */
export class FolderIntake implements SmallIntake {
  readonly #owner: IntakeOwner
  readonly #arena = new MemoryArena(ARENA_BYTES)
  readonly #waiters: Waiter[] = []
  readonly #group = new GroupCommit<BatchItem, BatchResult>((items) => this.#commit(items), {
    maxItems: MAX_BATCH,
    besideFrom: SECOND_BATCH_FROM,
    gatherMs: GATHER_MS,
  })
  #writer: BatchWriter | undefined
  #isClosed = false

  constructor(owner: IntakeOwner) {
    this.#owner = owner
  }

  async take(size: number, signal: AbortSignal): Promise<SmallContent> {
    signal.throwIfAborted()
    invariant(Number.isSafeInteger(size) && size >= 0 && size <= SMALL_CONTENT_BYTES, `${size} is a small size`)
    invariant(!this.#isClosed, 'the intake is open')
    // It starts while the first content is on its way.
    this.#liveWriter()
    // In the order of asking, or a larger content would wait for ever.
    const range = (this.#waiters.length === 0 ? this.#arena.allocate(size) : undefined) ?? (await this.#wait(size))
    const bytes = this.#arena.bytes(range)
    let isFree = false
    return {
      bytes,
      store: (key) => this.#store(key, range),
      [Symbol.dispose]: () => {
        if (isFree) return
        isFree = true
        this.#free(range)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.#group.idle()
    await this.#writer?.[Symbol.asyncDispose]()
  }

  /** Ends by itself: whoever has memory gives it back, also after an abort. */
  #wait(size: number): Promise<ArenaRange> {
    const { promise, resolve } = Promise.withResolvers<ArenaRange>()
    this.#waiters.push({ size, resolve })
    return promise
  }

  #free(range: ArenaRange): void {
    this.#arena.free(range)
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      const found = this.#arena.allocate(next.size)
      if (found === undefined) return
      this.#waiters.shift()
      next.resolve(found)
    }
  }

  async #store(key: ContentKey, range: ArenaRange): Promise<StoredSmall> {
    const result = await this.#group.add({ key, range })
    if (result instanceof Error) throw result
    if (result.isPublished) this.#owner.settled(this.#owner.layout.blobFolder(result.digests.sha256))
    return result
  }

  async #commit(items: readonly BatchItem[]): Promise<readonly BatchResult[]> {
    await this.#owner.prepare()
    return this.#liveWriter().commit(items)
  }

  /** One that stopped is replaced: whoever it owed an answer has an error. */
  #liveWriter(): BatchWriter {
    if (this.#writer === undefined || this.#writer.isStopped) {
      this.#writer = new BatchWriter({ root: this.#owner.layout.root, memory: this.#arena.memory })
    }
    return this.#writer
  }
}
