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

/** Connections for file bytes: bounded for each origin and in all, kept for the next request. */
export class BulkPool {
  readonly #guard: AddressGuard
  readonly #connectMs: number
  readonly #connections = new Map<BulkConnection, string>()
  readonly #waiting: (() => void)[] = []
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
        await this.#nextChange(signal)
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
    for (const connection of this.#connections.keys()) {
      connection.destroy(new TransportError('closed', 'the connections were closed'))
    }
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** An idle connection, or a new one; undefined when there may be no more. */
  #pick(target: Target): BulkConnection | undefined {
    if (this.#isClosed) throw new TransportError('closed', 'the connections were closed')
    const ours = [...this.#connections].filter(([, origin]) => origin === target.origin)
    const idle = ours.find(([connection]) => connection.isUsable && connection.requests === 0)
    if (idle !== undefined) return idle[0]
    return ours.length < PER_ORIGIN && this.#mayOpen() ? this.#open(target) : undefined
  }

  /** Whether there is room for one more; an idle connection of another origin makes some. */
  #mayOpen(): boolean {
    if (this.#connections.size < IN_ALL) return true
    const idle = [...this.#connections.keys()].find((connection) => connection.requests === 0)
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
      onIdle: () => this.#wakeAll(),
      onClosed: () => {
        this.#connections.delete(connection)
        this.#wakeAll()
      },
    })
    this.#connections.set(connection, target.origin)
    return connection
  }

  async #nextChange(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.push(wake)
    signal.addEventListener('abort', wake, { once: true })
    await promise
    signal.removeEventListener('abort', wake)
    const at = this.#waiting.indexOf(wake)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  #wakeAll(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

function note(origins: Map<string, number>, target: Target): void {
  if (origins.size >= MAX_NOTED) origins.clear()
  origins.set(target.origin, performance.now() + NOTED_MS)
}

function isNoted(origins: ReadonlyMap<string, number>, target: Target): boolean {
  return performance.now() < (origins.get(target.origin) ?? 0)
}
