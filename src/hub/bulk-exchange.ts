import type { ByteSink } from '../intake-port.ts'
import type { ExchangeLimits, HttpAnswer, HttpRequest } from './http-exchange.ts'
import type { ResponseHead } from './response-head.ts'
import { TransportError } from './transport-error.ts'

/** What an exchange asks of its connection. */
export interface ExchangeOwner {
  /** Closes the connection: there is no other way to stop an answer. */
  destroy(reason: unknown): void
  /** Bytes that had to wait are wanted now. */
  onDemand(): void
  /** Sends another request behind this one; undefined when the connection takes none. */
  ahead(request: HttpRequest, limits: ExchangeLimits, signal: AbortSignal): Promise<HttpAnswer> | undefined
}

/** One request on a bulk connection and its answer, whose body goes into a sink or is read in pieces. */
export class BulkExchange {
  readonly answer: Promise<HttpAnswer>
  readonly limits: ExchangeLimits
  readonly #owner: ExchangeOwner
  readonly #signal: AbortSignal
  readonly #settle = Promise.withResolvers<HttpAnswer>()
  readonly #totalTimer: NodeJS.Timeout
  #missing: number | undefined
  #sink: ByteSink | undefined
  #sinkSignal: AbortSignal | undefined
  /** Whoever moves or reads the body waits here. */
  #body: PromiseWithResolvers<void> | undefined
  /** What the sink gave for the next bytes. */
  #view: Uint8Array | undefined
  #piece: Buffer | undefined
  #state: 'open' | 'ended' | 'failed' = 'open'
  #failure: unknown
  #isDiscarded = false
  /** The sink was asked for room. */
  #isWaiting = false

  constructor(limits: ExchangeLimits, signal: AbortSignal, owner: ExchangeOwner) {
    this.limits = limits
    this.#signal = signal
    this.#owner = owner
    this.answer = this.#settle.promise
    this.answer.catch(() => undefined)
    this.#totalTimer = setTimeout(() => this.#expire(), limits.totalMs)
    this.#totalTimer.unref()
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (signal.aborted) queueMicrotask(this.#onAbort)
  }

  get hasHead(): boolean {
    return this.#missing !== undefined
  }

  get isWhole(): boolean {
    return this.#missing === 0
  }

  /** Whether the next bytes can be taken at once. */
  get hasRoom(): boolean {
    return this.view() !== undefined
  }

  begin(head: ResponseHead): void {
    this.#missing = head.length
    this.#settle.resolve({
      status: head.status,
      headers: head.headers,
      next: () => this.#next(),
      into: (sink, signal) => this.#into(sink, signal),
      ahead: (request, limits, signal) => this.#owner.ahead(request, limits, signal),
      discard: () => this.#discard(),
    })
  }

  /** Memory for the next bytes of the body; undefined while there is none. */
  view(): Uint8Array | undefined {
    if (this.#view !== undefined) return this.#view
    if (this.#sink === undefined || this.#missing === undefined || this.#missing === 0) return undefined
    const view = this.#sink.view()
    this.#view = view === undefined || view.length <= this.#missing ? view : view.subarray(0, this.#missing)
    return this.#view
  }

  /** Bytes came into the memory that `view` gave. */
  filled(count: number): void {
    this.#missing = (this.#missing ?? 0) - count
    this.#view = undefined
    this.#sink?.filled(count)
    if (this.#missing > 0 && !this.hasRoom) void this.#waitForRoom()
  }

  /** Takes bytes from elsewhere; says how many. */
  take(bytes: Buffer): number {
    const missing = this.#missing ?? 0
    if (this.#sink === undefined) {
      if (this.#body === undefined || this.#piece !== undefined) return 0
      this.#piece = Buffer.from(bytes.subarray(0, missing))
      this.#missing = missing - this.#piece.length
      this.#body.resolve()
      return this.#piece.length
    }
    const view = this.view()
    if (view === undefined) {
      void this.#waitForRoom()
      return 0
    }
    const count = bytes.copy(view)
    this.filled(count)
    return count
  }

  /** The body is whole. */
  end(): void {
    this.#close('ended', undefined)
  }

  fail(reason: unknown): void {
    this.#close('failed', reason)
  }

  async #into(sink: ByteSink, signal: AbortSignal): Promise<void> {
    if (this.#state === 'failed') throw this.#failure
    if (this.#state === 'ended') return
    signal.throwIfAborted()
    const onAbort = (): void => this.#owner.destroy(signal.reason)
    // The one the request was made with is heard already.
    const isOther = signal !== this.#signal
    if (isOther) signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#sink = sink
      this.#sinkSignal = signal
      this.#body = Promise.withResolvers()
      if (this.hasRoom) this.#owner.onDemand()
      else void this.#waitForRoom()
      await this.#body.promise
    } finally {
      this.#sink = undefined
      this.#view = undefined
      if (isOther) signal.removeEventListener('abort', onAbort)
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#piece === undefined && this.#state === 'open') {
      this.#body = Promise.withResolvers()
      this.#owner.onDemand()
      await this.#body.promise
    }
    if (this.#state === 'failed' && this.#piece === undefined) throw this.#failure
    const piece = this.#piece
    this.#piece = undefined
    return piece
  }

  async #waitForRoom(): Promise<void> {
    if (this.#isWaiting) return
    this.#isWaiting = true
    try {
      await this.#sink?.room(this.#sinkSignal ?? this.#signal)
      this.#isWaiting = false
      if (this.#state === 'open') this.#owner.onDemand()
    } catch (error) {
      if (this.#state === 'open') this.#owner.destroy(error)
    }
  }

  #discard(): void {
    if (this.#isDiscarded || this.#state !== 'open') return
    this.#isDiscarded = true
    this.#owner.destroy(new TransportError('interrupted', 'the answer was given up'))
  }

  #onAbort = (): void => {
    if (this.#state === 'open') this.#owner.destroy(this.#signal.reason)
  }

  #expire(): void {
    const seconds = this.limits.totalMs / 1000
    this.#owner.destroy(new TransportError('stalled', `the whole answer did not arrive within ${seconds} s`))
  }

  #close(state: 'ended' | 'failed', failure: unknown): void {
    if (this.#state !== 'open') return
    this.#state = state
    this.#failure = failure
    clearTimeout(this.#totalTimer)
    this.#signal.removeEventListener('abort', this.#onAbort)
    if (state === 'failed') this.#settle.reject(failure)
    if (state === 'failed' && this.#sink !== undefined) this.#body?.reject(failure)
    else this.#body?.resolve()
  }
}
