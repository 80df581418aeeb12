import type { Dispatcher } from 'undici'
import type { ByteSink } from '../intake-port.ts'
import type { HeaderMap } from './http-headers.ts'
import { toTransportError, TransportError } from './transport-error.ts'
import type { Target } from './url-target.ts'

/** Deadlines of one exchange in milliseconds. A passed one destroys the socket. */
export interface ExchangeLimits {
  /** From the request on the wire to the end of the headers. */
  readonly headersMs: number
  /** Until so much more of the body came that it moves (`LEAST_BYTES`), while we wait for the network. */
  readonly idleMs: number
  /** From the call to the end of the body. */
  readonly totalMs: number
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD'
  readonly target: Target
  readonly headers: Readonly<Record<string, string>>
}

/** Status and headers of an answer; its body is read, or discarded, by whoever holds this. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: HeaderMap
  /** The next piece, undefined at the end. @throws TransportError, or the signal's reason */
  next(): Promise<Uint8Array | undefined>
  /** Moves the whole body into a sink, without a copy. Only where the connection can. @throws as next */
  into?(sink: ByteSink, signal: AbortSignal): Promise<void>
  /** Sends another request behind this one on the same connection; undefined when it takes none. */
  ahead?(request: HttpRequest, limits: ExchangeLimits, signal: AbortSignal): Promise<HttpAnswer> | undefined
  /** Gives up: an unfinished body's socket is destroyed. */
  discard(): void
}

/**
 * Fewer bytes of a body within the idle deadline are as good as none: whoever sends it byte by byte holds us up no longer
 * than one who sends nothing.
 */
export const LEAST_BYTES = 1024

/** Unread bytes we hold before the socket is paused. */
const HIGH_WATER_BYTES = 256 * 1024

/**
 * Sends one request and waits for the headers of the answer. Follows nothing, decodes nothing, retries nothing.
 * @throws TransportError, or the signal's reason
 */
export async function exchange(
  dispatcher: Pick<Dispatcher, 'dispatch'>,
  request: HttpRequest,
  limits: ExchangeLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  signal.throwIfAborted()
  const live = new LiveExchange(limits, signal)
  const { origin, path } = request.target
  const options = { origin, path, method: request.method, headers: request.headers, reset: false }
  dispatcher.dispatch(options, live.handler())
  return live.answer
}

class LiveExchange {
  readonly answer: Promise<HttpAnswer>
  readonly #settle: PromiseWithResolvers<HttpAnswer>
  readonly #limits: ExchangeLimits
  readonly #signal: AbortSignal
  readonly #chunks: Uint8Array[] = []
  #queuedBytes = 0
  /** Since the idle deadline began: what came, and how long we waited for it. */
  #arrived = 0
  #waitedMs = 0
  #controller: Dispatcher.DispatchController | undefined
  #state: 'open' | 'ended' | 'failed' = 'open'
  #failure: unknown
  #hasHeaders = false
  #wake: (() => void) | undefined
  #phaseTimer: NodeJS.Timeout | undefined
  readonly #totalTimer: NodeJS.Timeout

  constructor(limits: ExchangeLimits, signal: AbortSignal) {
    this.#settle = Promise.withResolvers<HttpAnswer>()
    this.answer = this.#settle.promise
    this.#limits = limits
    this.#signal = signal
    this.#totalTimer = setTimeout(() => this.#expire('the whole answer', limits.totalMs), limits.totalMs)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Plain functions: a proxy wrapper of undici replaces one of them on the object. */
  handler(): Dispatcher.DispatchHandler {
    return {
      onRequestStart: (controller) => {
        this.#controller = controller
        if (this.#state === 'failed') return controller.abort(asError(this.#failure))
        this.#startPhase('the headers', this.#limits.headersMs)
      },
      onResponseStart: (_controller, status, headers) => {
        if (status < 200 || this.#state !== 'open') return
        this.#endPhase()
        this.#hasHeaders = true
        this.#settle.resolve({ status, headers, next: () => this.#next(), discard: () => this.#discard() })
      },
      onResponseData: (controller, chunk) => {
        if (this.#state !== 'open') return
        this.#chunks.push(chunk)
        this.#queuedBytes += chunk.length
        this.#arrived += chunk.length
        if (this.#queuedBytes >= HIGH_WATER_BYTES) controller.pause()
        this.#wakeReader()
      },
      onResponseEnd: () => this.#finish('ended', undefined),
      onResponseError: (_controller, error) => this.#finish('failed', toTransportError(error, this.#hasHeaders)),
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#chunks.length === 0 && this.#state === 'open') await this.#waitForNetwork()
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#queuedBytes -= chunk.length
      if (this.#queuedBytes < HIGH_WATER_BYTES / 2) this.#controller?.resume()
      return chunk
    }
    if (this.#state === 'failed') throw this.#failure
    return undefined
  }

  /** The idle deadline runs here only: a consumer that takes its time is not the network's fault. */
  async #waitForNetwork(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    if (this.#arrived >= LEAST_BYTES) [this.#arrived, this.#waitedMs] = [0, 0]
    const { idleMs } = this.#limits
    const startMs = performance.now()
    this.#startPhase('more of the body', idleMs, Math.max(0, idleMs - this.#waitedMs))
    this.#controller?.resume()
    await promise
    this.#endPhase()
    this.#waitedMs += performance.now() - startMs
  }

  #discard(): void {
    if (this.#state === 'open') this.#abort(new TransportError('interrupted', 'the answer was given up'))
    this.#chunks.length = 0
    this.#queuedBytes = 0
  }

  #onAbort = (): void => {
    this.#abort(this.#signal.reason)
  }

  #expire(what: string, ms: number): void {
    this.#abort(new TransportError('stalled', `${what} did not arrive within ${ms / 1000} s`))
  }

  #abort(reason: unknown): void {
    if (this.#state !== 'open') return
    this.#finish('failed', reason)
    // Bytes that came before are not handed out after an abort.
    this.#chunks.length = 0
    this.#controller?.abort(asError(reason))
  }

  #finish(state: 'ended' | 'failed', failure: unknown): void {
    if (this.#state !== 'open') return
    this.#state = state
    this.#failure = failure
    this.#endPhase()
    clearTimeout(this.#totalTimer)
    this.#signal.removeEventListener('abort', this.#onAbort)
    if (state === 'failed') this.#settle.reject(asError(failure))
    this.#wakeReader()
  }

  /** @param leftMs of the deadline */
  #startPhase(what: string, ms: number, leftMs = ms): void {
    // A client may send a request again whose connection closed before it was answered.
    this.#endPhase()
    this.#phaseTimer = setTimeout(() => this.#expire(what, ms), leftMs)
  }

  #endPhase(): void {
    clearTimeout(this.#phaseTimer)
  }

  #wakeReader(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}
