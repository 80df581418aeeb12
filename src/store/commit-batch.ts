import { digestsOf, forPending, orFail, type BatchItem, type BatchResult, type Entry } from './batch-entry.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'
import { nameContents } from './name-contents.ts'
import { prove } from './prove-content.ts'
import { TurnsTogether } from './turns-together.ts'

export type { BatchItem, BatchResult } from './batch-entry.ts'

/** Files that are open at once: enough to keep all threads busy with fsyncs, far below the usual limit of 1,024. */
const OPEN_AT_ONCE = 64
/**
 * Names are given in turns of so many contents: there are 256 folders, and with few contents a turn nearly each would
 * cost an fsync of its folder, too.
 */
const NAMED_TOGETHER = 512
/** What is proven waits for others no longer than this. */
const NAMED_WITHIN_MS = 250

/** A content that waits to be written, and what to tell when it is. */
interface Waiting {
  readonly entry: Entry
  readonly settled: () => void
}

/**
 * Makes many small contents durable together. For each the order is that of one: write → fsync → read back and hash →
 * link without replacing → fsync of its folder → partial removed. Files are synced side by side, and a folder once for
 * all that were linked into it. What fails, fails alone: its file is dead.
 */
export class BatchCommitter {
  readonly #layout: Layout
  /** Blob folders whose names are durable; grows. */
  readonly #known = new Set<string>()
  readonly #waiting: Waiting[] = []
  #lanes = 0
  /** Contents that are not proven yet. */
  #unproven = 0
  readonly #naming = new TurnsTogether<Entry>((entries) => nameContents(this.#layout, this.#known, entries), {
    enough: NAMED_TOGETHER,
    withinMs: NAMED_WITHIN_MS,
    isMoreComing: () => this.#unproven > 0,
  })

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /**
   * One result for each item, in their order.
   * @param onProven told when no bytes of the items are needed any more
   */
  async commit(
    items: readonly BatchItem[],
    io: BatchIo,
    onProven: () => void = () => undefined,
  ): Promise<BatchResult[]> {
    const entries = items.map((item): Entry => {
      const partial = this.#layout.partialFile(item.key)
      return { item, io, partial, fd: undefined, digests: undefined, blob: '', isLinked: false, result: undefined }
    })
    await this.#proveAll(entries)
    onProven()
    await this.#naming.take(entries)
    await forPending(this.#layout, entries, async (entry) => {
      // It is published: what is left of it now is litter, which the next start sweeps.
      await io.unlink(entry.partial).catch(() => undefined)
      entry.result = { digests: digestsOf(entry), isPublished: true }
    })
    return entries.map((entry) => entry.result ?? new Error('an item of a batch has no result'))
  }

  async #proveAll(entries: readonly Entry[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    let left = entries.length
    const settled = (): void => {
      this.#unproven -= 1
      left -= 1
      if (left === 0) resolve()
    }
    this.#unproven += left
    for (const entry of entries) this.#waiting.push({ entry, settled })
    if (left === 0) return
    while (this.#lanes < OPEN_AT_ONCE && this.#waiting.length > 0) {
      this.#lanes += 1
      void this.#proveInTurn()
    }
    await promise
  }

  async #proveInTurn(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await orFail(this.#layout, next.entry, (entry) => prove(this.#layout, entry))
      next.settled()
    }
    this.#lanes -= 1
  }
}
