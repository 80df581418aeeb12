import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { SmallContent, SmallIntake } from '../intake-port.ts'
import { BatchHere } from './batch-here.ts'
import type { BatchRequest } from './batch-thread.ts'
import { BatchWriter } from './batch-writer.ts'
import type { BatchResult } from './commit-batch.ts'
import type { Layout } from './layout.ts'
import { MemoryArena, type ArenaRange } from './memory-arena.ts'

/** Two dozen of the largest contents: memory is free again as soon as a file was read back. */
const ARENA_BYTES = 6 * 1024 * 1024
/** A repository or two have no more. A thread for more than these has a heap of its own. */
const FEW_CONTENTS = 64

/** What the intake asks of the store it belongs to. */
export interface IntakeOwner {
  readonly layout: Layout
  /** Before the first content is written. */
  prepare(): Promise<void>
  /** A folder of blobs is durable as it is now. */
  settled(folder: string): void
}

interface Waiter {
  readonly size: number
  readonly resolve: (range: ArenaRange) => void
}

/** Small contents on their way to the disk. */
export class FolderIntake implements SmallIntake {
  readonly #owner: IntakeOwner
  readonly #arena = new MemoryArena(ARENA_BYTES)
  readonly #waiters: Waiter[] = []
  readonly #storing = new Set<Promise<unknown>>()
  /** Commits the first contents. */
  readonly #here: BatchHere
  readonly #few: number
  #taken = 0
  /** More than a few came, or will. */
  #areMany = false
  /** Commits all when they are many. */
  #writer: BatchWriter | undefined
  #isClosed = false

  /** @param few contents that are committed without a thread of their own */
  constructor(owner: IntakeOwner, few = FEW_CONTENTS) {
    this.#owner = owner
    this.#few = few
    this.#here = new BatchHere(owner.layout, this.#arena.memory)
  }

  expect(count: number): void {
    if (this.#taken + count > this.#few) this.#startThread()
  }

  async take(key: ContentKey, size: number, signal: AbortSignal): Promise<SmallContent> {
    signal.throwIfAborted()
    invariant(Number.isSafeInteger(size) && size >= 0 && size <= SMALL_CONTENT_BYTES, `${size} is a small size`)
    invariant(!this.#isClosed, 'the intake is open')
    this.#taken += 1
    if (this.#taken > this.#few) this.#startThread()
    // In the order of asking, or a larger content would wait for ever.
    const range = (this.#waiters.length === 0 ? this.#arena.allocate(size) : undefined) ?? (await this.#wait(size))
    return new HeldContent(key, range, this.#arena, () => this.#serveWaiters())
  }

  async store(contents: readonly SmallContent[]): Promise<readonly BatchResult[]> {
    const storing = this.#store(contents.map(heldOf))
    this.#storing.add(storing)
    try {
      return await storing
    } finally {
      this.#storing.delete(storing)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    while (this.#storing.size > 0) await Promise.allSettled(this.#storing)
    await this.#writer?.[Symbol.asyncDispose]()
  }

  /** Ends by itself: whoever has memory gives it back, also after an abort. */
  #wait(size: number): Promise<ArenaRange> {
    const { promise, resolve } = Promise.withResolvers<ArenaRange>()
    this.#waiters.push({ size, resolve })
    return promise
  }

  #serveWaiters(): void {
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      const found = this.#arena.allocate(next.size)
      if (found === undefined) return
      this.#waiters.shift()
      next.resolve(found)
    }
  }

  async #store(contents: readonly HeldContent[]): Promise<readonly BatchResult[]> {
    const free = (): void => {
      for (const content of contents) content[Symbol.dispose]()
    }
    try {
      await this.#owner.prepare()
      const results = await this.#commit(
        contents.map(({ key, range }) => ({ key, range })),
        free,
      )
      for (const result of results) {
        if (result instanceof Error || !result.isPublished) continue
        this.#owner.settled(this.#owner.layout.blobFolder(result.digests.sha256))
      }
      return results
    } finally {
      free()
    }
  }

  async #commit(items: BatchRequest['items'], onProven: () => void): Promise<readonly BatchResult[]> {
    if (!this.#areMany) return this.#here.commit(items, onProven)
    // Two at once could each count on a name that the other takes back.
    await this.#here.ended()
    return this.#liveWriter().commit(items, onProven)
  }

  /** While the contents are on their way. */
  #startThread(): void {
    this.#areMany = true
    this.#liveWriter()
  }

  /** One that stopped is replaced: whoever it owed an answer has an error. */
  #liveWriter(): BatchWriter {
    if (this.#writer === undefined || this.#writer.isStopped) {
      this.#writer = new BatchWriter({ root: this.#owner.layout.root, memory: this.#arena.memory })
    }
    return this.#writer
  }
}

class HeldContent implements SmallContent {
  readonly key: ContentKey
  readonly range: ArenaRange
  readonly #arena: MemoryArena
  readonly #onFree: () => void
  #isFree = false

  constructor(key: ContentKey, range: ArenaRange, arena: MemoryArena, onFree: () => void) {
    this.key = key
    this.range = range
    this.#arena = arena
    this.#onFree = onFree
  }

  get bytes(): Uint8Array {
    return this.#arena.bytes(this.range)
  }

  [Symbol.dispose](): void {
    if (this.#isFree) return
    this.#isFree = true
    this.#arena.free(this.range)
    this.#onFree()
  }
}

function heldOf(content: SmallContent): HeldContent {
  invariant(content instanceof HeldContent, 'what is stored was taken from an intake')
  return content
}
