import { invariant } from '../domain/errors.ts'

/** Length of a block. A multiple of every page and sector size, so that a block can be written without a copy. */
export const BLOCK_BYTES = 1024 * 1024
/** Bounds what all downloads together hold in memory. */
const BLOCKS = 20
const WASM_PAGE_BYTES = 64 * 1024

/** The compiler knows this global only together with those of a browser. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer }
}

/** A piece of the shared memory. Whoever took it gives it back, once, when nobody reads or writes it any more. */
export interface Block {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Somebody who keeps blocks longer than it must. */
export interface BlockHolder {
  /** Whether a block comes back soon, by itself. */
  readonly willGiveBack: boolean
  /** Gives a block back, if it can do without one, and says so. */
  giveUpOne(): boolean
}

interface Waiter {
  /** May take a block. */
  readonly isReady: () => boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A fixed number of reused blocks of page-aligned memory that worker threads see, too: sockets write into them, disks
 * and hashes read from them. Nothing of it is resident before it is first used; the blocks used last are used first.
 */
export class BlockMemory {
  /** All blocks, for worker threads. */
  readonly buffer: SharedArrayBuffer
  readonly #free: Block[] = []
  readonly #waiting = new Set<Waiter>()
  readonly #holders = new Set<BlockHolder>()
  #willAsk = false

  constructor(blocks = BLOCKS) {
    const pages = (blocks * BLOCK_BYTES) / WASM_PAGE_BYTES
    // Unlike a SharedArrayBuffer of its own, this memory begins on a page, as direct I/O demands.
    this.buffer = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer
    for (let index = blocks - 1; index >= 0; index -= 1) {
      const offset = index * BLOCK_BYTES
      this.#free.push({ offset, bytes: new Uint8Array(this.buffer, offset, BLOCK_BYTES) })
    }
  }

  /** A block, unless all are in use. */
  take(): Block | undefined {
    if (this.#free.length === 0) this.#reclaim()
    return this.#free.pop()
  }

  giveBack(block: Block): void {
    invariant(!this.#free.includes(block), 'a block is given back once')
    this.#free.push(block)
    this.wake()
  }

  /**
   * Resolves once `isReady` says so; it is asked whenever a block may be free or `wake` was called, so it takes what it
   * waits for itself. Whoever came first is asked first. Rejects with the signal's reason, or what `isReady` throws.
   */
  async until(isReady: () => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (isReady()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    const waiter = { isReady, resolve, reject }
    this.#waiting.add(waiter)
    try {
      await promise
    } finally {
      this.#waiting.delete(waiter)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Asks everybody who waits again: something they depend on has changed, or a block is free. */
  wake(): void {
    if (this.#willAsk || this.#waiting.size === 0) return
    this.#willAsk = true
    // Later, and once for all that changes now: who is asked takes blocks, and may be in the middle of something.
    queueMicrotask(() => this.#askAll())
  }

  #askAll(): void {
    this.#willAsk = false
    for (const waiter of this.#waiting) {
      try {
        if (!waiter.isReady()) continue
        waiter.resolve()
      } catch (error) {
        waiter.reject(error)
      }
      this.#waiting.delete(waiter)
    }
  }

  /** Asks this holder when no block is free. Returns a function that ends this. */
  addHolder(holder: BlockHolder): () => void {
    this.#holders.add(holder)
    return () => void this.#holders.delete(holder)
  }

  /** What is given up has to be read from the disk again: worth it only when no block comes back without that. */
  #reclaim(): void {
    const holders = [...this.#holders]
    if (!holders.some((holder) => holder.willGiveBack)) holders.some((holder) => holder.giveUpOne())
  }
}
