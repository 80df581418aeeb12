// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import type { Worker } from 'node:worker_threads'
import {
  HASH_THREAD,
  type HashMessage,
  type HashReply,
  type HashRequest,
  type HashResult,
} from './hash-files-worker.ts'
import { startThread } from './start-thread.ts'

/** A worker keeps nothing between requests: without a bound V8 would let its heap grow. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

interface Waiting {
  resolve(result: HashResult): void
  reject(error: Error): void
}

/** One worker thread and the requests it has not answered yet. It keeps the process alive only while it owes an answer. */
export class HashWorker {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #sessions = new Set<number>()
  #nextId = 1
  #isEnding = false
  #stopped: Error | undefined

  /** @param memory what requests of kind `bytes` point into */
  constructor(memory: SharedArrayBuffer) {
    this.#worker = startThread({
      file: new URL('./hash-files-worker', import.meta.url),
      name: HASH_THREAD,
      workerData: memory,
      resourceLimits: LIMITS,
    })
    this.#worker.on('message', (reply: HashReply) => this.#settle(reply))
    this.#worker.on('error', (error: Error) => this.#stop(error))
    this.#worker.on('exit', () => this.#stop(undefined))
  }

  /** Sessions open here: the measure of its load. */
  get sessions(): number {
    return this.#sessions.size
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined
  }

  /** Requests are answered in the order they were made. @throws errno errors of the file; Error when the thread is gone */
  ask(request: Exclude<HashRequest, { kind: 'close' }>): Promise<HashResult> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    this.#sessions.add(request.session)
    if (this.#waiting.size === 0) this.#worker.ref()
    const { promise, resolve, reject } = Promise.withResolvers<HashResult>()
    const id = this.#nextId++
    this.#waiting.set(id, { resolve, reject })
    this.#worker.postMessage({ id, request } satisfies HashMessage)
    return promise
  }

  /** Ends a session after the request it may still be working on. */
  end(session: number): void {
    if (!this.#sessions.delete(session) || this.#stopped !== undefined) return
    this.#worker.postMessage({ id: 0, request: { kind: 'close', session } } satisfies HashMessage)
  }

  async terminate(): Promise<void> {
    this.#isEnding = true
    await this.#worker.terminate()
    this.#stop(undefined)
  }

  #settle(reply: HashReply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    // Its end is waited for: an answer that comes meanwhile must not let the process go before.
    if (this.#waiting.size === 0 && !this.#isEnding) this.#worker.unref()
    if (reply.result.kind !== 'failed') {
      waiting?.resolve(reply.result)
      return
    }
    const { message, ...facts } = reply.result
    waiting?.reject(Object.assign(new Error(message), facts))
  }

  #stop(cause: Error | undefined): void {
    this.#stopped ??= new Error('the hash worker stopped', { cause })
    for (const waiting of this.#waiting.values()) waiting.reject(this.#stopped)
    this.#waiting.clear()
  }
}
