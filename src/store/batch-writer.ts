// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import type { Worker } from 'node:worker_threads'
import { ArchiveError } from '../domain/errors.ts'
import { startThread } from '../lib/start-thread.ts'
import {
  BATCH_THREAD,
  type BatchReply,
  type BatchRequest,
  type BatchThreadData,
  type SentError,
} from './batch-thread.ts'
import type { BatchResult } from './commit-batch.ts'

/** Somebody who waits for a batch. */
interface Waiting extends PromiseWithResolvers<readonly BatchResult[]> {
  readonly onProven: () => void
}

/**
 * A thread that commits batches, so that the network goes on while system calls wait for the disk. It keeps the process
 * alive only while it owes an answer.
 */
export class BatchWriter implements AsyncDisposable {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #failure: Error | undefined
  #stopped: Error | undefined

  constructor(data: BatchThreadData) {
    this.#worker = startThread({
      file: new URL('./batch-thread', import.meta.url),
      name: BATCH_THREAD,
      workerData: data,
    })
    this.#worker.on('message', (reply: BatchReply) => this.#settle(reply))
    this.#worker.on('error', (error: Error) => {
      this.#failure = error
    })
    // Only now is none of its system calls under way any more.
    this.#worker.on('exit', () => this.#stop())
  }

  /** Whether the thread is gone; nothing of it touches memory or disk any more. */
  get isStopped(): boolean {
    return this.#stopped !== undefined
  }

  /**
   * One result for each item, in their order.
   * @param onProven told when the thread looks at the items' memory no more
   * @throws Error when the thread is gone: nobody knows what it did
   */
  commit(items: BatchRequest['items'], onProven: () => void): Promise<readonly BatchResult[]> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    const waiting = { ...Promise.withResolvers<readonly BatchResult[]>(), onProven }
    const id = this.#nextId++
    if (this.#waiting.size === 0) this.#worker.ref()
    this.#waiting.set(id, waiting)
    this.#worker.postMessage({ id, items } satisfies BatchRequest)
    return waiting.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }

  #settle({ id, results }: BatchReply): void {
    const waiting = this.#waiting.get(id)
    if (results === undefined) return waiting?.onProven()
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker.unref()
    waiting?.resolve(results.map((result) => ('failed' in result ? received(result.failed) : result)))
  }

  #stop(): void {
    this.#stopped = new Error('the batch thread stopped', { cause: this.#failure })
    for (const waiting of this.#waiting.values()) waiting.reject(this.#stopped)
    this.#waiting.clear()
  }
}

function received({ archiveCode, message, stack, hint, details, cause }: SentError): Error {
  const options = cause === undefined ? {} : { cause: Object.assign(new Error(cause.message), cause) }
  const error =
    archiveCode === undefined
      ? new Error(message, options)
      : new ArchiveError(archiveCode, message, {
          ...options,
          ...(hint === undefined ? {} : { hint }),
          details: { ...details },
        })
  if (stack !== undefined) error.stack = stack
  return error
}
