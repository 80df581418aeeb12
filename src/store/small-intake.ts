// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import { GroupCommit } from '../lib/group-commit.ts'
import type { SmallContent, SmallIntake, StoredSmall } from '../ports.ts'
import type { BatchItem, BatchResult } from './commit-batch.ts'
import type { BatchWorkerData } from './commit-batch-worker.ts'
import type { Layout } from './layout.ts'
import { MemoryArena, type ArenaRange } from './memory-arena.ts'
import { fixityFailed } from './publish-blob.ts'
import { storeError } from './store-error.ts'

// Node strips types only outside node_modules, so the built package has the worker as .js beside this file.
const WORKER_FILE = import.meta.url.endsWith('.ts') ? './commit-batch-worker.ts' : './commit-batch-worker.js'
const ARENA_BYTES = 16 * 1024 * 1024
/** Files of a batch are open at once: far below the usual limit of 1,024. */
const MAX_BATCH = 256

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

/** Small contents on their way to the disk: memory here, blocking system calls in a thread of their own. */
export class FolderIntake implements SmallIntake {
  readonly #owner: IntakeOwner
  readonly #arena = new MemoryArena(ARENA_BYTES)
  readonly #waiters: Waiter[] = []
  readonly #group = new GroupCommit<BatchItem, BatchResult>((items) => this.#commit(items), MAX_BATCH)
  #worker: BatchThread | undefined
  #isClosed = false

  constructor(owner: IntakeOwner) {
    this.#owner = owner
  }

  async take(size: number, signal: AbortSignal): Promise<SmallContent> {
    signal.throwIfAborted()
    invariant(Number.isSafeInteger(size) && size >= 0 && size <= SMALL_CONTENT_BYTES, `${size} is a small size`)
    invariant(!this.#isClosed, 'the intake is open')
    // In the order of asking, or a larger content would wait for ever.
    const range = (this.#waiters.length === 0 ? this.#arena.allocate(size) : undefined) ?? (await this.#wait(size))
    let isFree = false
    return {
      bytes: new Uint8Array(this.#arena.memory, range.offset, size),
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
    await this.#worker?.end()
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
    const { layout } = this.#owner
    const result = await this.#group.add({ key, offset: range.offset, length: range.length })
    if (result.kind === 'failed') throw await storeError(layout, layout.partialFile(key), revive(result.error))
    if (result.kind === 'occupied') throw fixityFailed(result.path, result.what)
    const [sha256, gitOid] = [parseSha256(result.sha256), parseGitOid(result.gitOid)]
    invariant(sha256 !== undefined && gitOid !== undefined, 'a batch has digests')
    const isPublished = result.kind === 'published'
    if (isPublished) this.#owner.settled(dirname(layout.blob(sha256)))
    return { digests: { sha256, gitOid, size: result.size }, isPublished }
  }

  async #commit(items: readonly BatchItem[]): Promise<readonly BatchResult[]> {
    await this.#owner.prepare()
    this.#worker ??= new BatchThread({ root: this.#owner.layout.root, memory: this.#arena.memory })
    return this.#worker.commit(items)
  }
}

function revive(error: Extract<BatchResult, { kind: 'failed' }>['error']): Error {
  const { message, ...facts } = error
  return Object.assign(new Error(message), facts)
}

/** The thread that commits batches, one at a time. It keeps the process alive only while it owes an answer. */
class BatchThread {
  readonly #worker: Worker
  #waiting: PromiseWithResolvers<readonly BatchResult[]> | undefined
  #stopped: Error | undefined

  constructor(data: BatchWorkerData) {
    const options = { workerData: data, name: 'weightvault-store', execArgv: [] }
    this.#worker = new Worker(new URL(WORKER_FILE, import.meta.url), options)
    this.#worker.unref()
    this.#worker.on('message', (results: readonly BatchResult[]) => this.#settle().resolve(results))
    this.#worker.on('error', (error: Error) => this.#stop(error))
    this.#worker.on('exit', () => this.#stop(undefined))
  }

  commit(items: readonly BatchItem[]): Promise<readonly BatchResult[]> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    this.#waiting = Promise.withResolvers()
    this.#worker.ref()
    this.#worker.postMessage(items)
    return this.#waiting.promise
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #settle(): PromiseWithResolvers<readonly BatchResult[]> {
    const waiting = this.#waiting
    invariant(waiting !== undefined, 'the thread owes an answer')
    this.#waiting = undefined
    this.#worker.unref()
    return waiting
  }

  #stop(cause: Error | undefined): void {
    this.#stopped ??= new Error('the thread that stores small files stopped', { cause })
    this.#waiting?.reject(this.#stopped)
    this.#waiting = undefined
  }
}
