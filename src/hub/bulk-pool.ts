import { AddressRefusedError } from '../lib/private-address.ts'
import type { AddressGuard } from './address-guard.ts'
import { BulkConnection, NotPlainError } from './bulk-connection.ts'
import type { ExchangeLimits, HttpAnswer, HttpRequest } from './http-exchange.ts'
import { toTransportError, TransportError } from './transport-error.ts'
import type { Target } from './url-target.ts'

const PER_ORIGIN = 16
const IN_ALL = 24
/** How long it is remembered what an origin does not understand. */
const NOTED_MS = 10 * 60_000
const MAX_NOTED = 256

/** Somebody who waits for a connection to an origin. */
interface Waiter {
  readonly origin: string
  readonly wake: () => void
}

/** Connections for file bytes: bounded for each origin and in all, kept for the next request. */
export class BulkPool {
  readonly #guard: AddressGuard
  readonly #connectMs: number
  readonly #connections = new Set<BulkConnection>()
  readonly #waiting: Waiter[] = []
  readonly #notPlain = new Map<string, number>()
  /** Origins that did not answer what was sent ahead, and until when that is remembered. */
  readonly #noAhead = new Map<string, number>()
  #isClosed = false

  constructor(guard: AddressGuard, connectMs: number) {
    this.#guard = guard
    this.#connectMs = connectMs
  }

  /** Whether this origin answered in a way that these connections can read, or was not asked yet. */
  suits(target: Target): boolean {
    return !isNoted(this.#notPlain, target)
  }

  /**
   * @throws NotPlainError when the answer needs a complete HTTP client: nothing of it was used; TransportError; the
   *   signal's reason
   */
  async fetch(request: HttpRequest, limits: ExchangeLimits, signal: AbortSignal): Promise<HttpAnswer> {
    for (;;) {
      signal.throwIfAborted()
      const connection = this.#pick(request.target)
      if (connection === undefined) {
        await this.#nextChange(request.target.origin, signal)
        continue
      }
      const mayBeStale = connection.isUsed
      try {
        return await connection.request(request, limits, signal)
      } catch (error) {
        if (error instanceof NotPlainError) note(this.#notPlain, request.target)
        // The server closed a kept connection just then: a new one tells whether anything is wrong.
        const isStale = mayBeStale && error instanceof TransportError && error.failure === 'interrupted'
        if (!isStale || signal.aborted) throw error
      }
    }
  }

  async destroy(): Promise<void> {
    this.#isClosed = true
    for (const connection of this.#connections) {
      connection.destroy(new TransportError('closed', 'the connections were closed'))
    }
    this.#wakeAll()
  }

  /** An idle connection, or a new one; undefined when there may be no more. */
  #pick(target: Target): BulkConnection | undefined {
    if (this.#isClosed) throw new TransportError('closed', 'the connections were closed')
    let ours = 0
    for (const connection of this.#connections) {
      if (connection.origin !== target.origin) continue
      if (connection.isUsable && connection.requests === 0) return connection
      ours += 1
    }
    return ours < PER_ORIGIN && this.#mayOpen() ? this.#open(target) : undefined
  }

  /** Whether there is room for one more; an idle connection of another origin makes some. */
  #mayOpen(): boolean {
    if (this.#connections.size < IN_ALL) return true
    const idle = [...this.#connections].find((connection) => connection.requests === 0)
    idle?.destroy(new TransportError('closed', 'another origin needs the connection'))
    return idle !== undefined
  }

  #open(target: Target): BulkConnection {
    const refusal = this.#guard.refusal(target)
    if (refusal !== undefined) throw toTransportError(new AddressRefusedError(refusal), false)
    const connection = new BulkConnection({
      target,
      connectMs: this.#connectMs,
      lookup: this.#guard.lookupFor(target),
      mayAskAhead: () => !isNoted(this.#noAhead, target),
      onAheadUnanswered: () => note(this.#noAhead, target),
      onIdle: () => this.#wakeOne(target.origin),
      onClosed: () => {
        this.#connections.delete(connection)
        this.#wakeAll()
      },
    })
    this.#connections.add(connection)
    return connection
  }

  async #nextChange(origin: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter: Waiter = { origin, wake: () => resolve() }
    this.#waiting.push(waiter)
    signal.addEventListener('abort', waiter.wake, { once: true })
    await promise
    signal.removeEventListener('abort', waiter.wake)
    const at = this.#waiting.indexOf(waiter)
    if (at >= 0) this.#waiting.splice(at, 1)
    // What it was woken for is somebody else's.
    else if (signal.aborted) this.#wakeOne(origin)
  }

  /** For one idle connection, one request: of the same origin, or one that may open its own instead. */
  #wakeOne(origin: string): void {
    const same = this.#waiting.findIndex((waiter) => waiter.origin === origin)
    this.#waiting.splice(Math.max(same, 0), 1)[0]?.wake()
  }

  #wakeAll(): void {
    for (const { wake } of this.#waiting.splice(0)) wake()
  }
}

function note(origins: Map<string, number>, target: Target): void {
  if (origins.size >= MAX_NOTED) origins.clear()
  origins.set(target.origin, performance.now() + NOTED_MS)
}

function isNoted(origins: ReadonlyMap<string, number>, target: Target): boolean {
  return performance.now() < (origins.get(target.origin) ?? 0)
}
