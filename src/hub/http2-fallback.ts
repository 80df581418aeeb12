import type { Dispatcher } from 'undici'
import { errors } from './undici-parts.ts'

/** What exchanges need of undici. */
export type Requests = Pick<Dispatcher, 'dispatch' | 'destroy'>

/** How long it is remembered that an origin speaks HTTP/2 only. */
const NOTED_MS = 10 * 60_000
const MAX_ORIGINS = 256
/** Connections to one origin that are kept for the next request. */
const MAX_IDLE = 16

/**
 * HTTP/1.1 wherever it is spoken, for the window of an HTTP/2 connection throttles large bodies; HTTP/2 with an origin that
 * refuses every other protocol in the TLS handshake.
 */
export class Http2Fallback implements Requests {
  readonly #http1: Requests
  readonly #http2: Requests
  readonly #notedUntilMs = new Map<string, number>()
  #isClosed = false

  constructor(http1: Requests, http2: Requests) {
    this.#http1 = http1
    this.#http2 = http2
  }

  /** Whether the origin refused HTTP/1.1 not long ago. */
  speaksHttp2Only(origin: string): boolean {
    return performance.now() < (this.#notedUntilMs.get(origin) ?? 0)
  }

  /** Remembers the origin if this is how it refuses HTTP/1.1. Returns whether it is. */
  noteRefusal(origin: string, thrown: unknown): boolean {
    if (this.#isClosed || !isNoProtocol(thrown)) return false
    if (this.#notedUntilMs.size >= MAX_ORIGINS) this.#notedUntilMs.clear()
    this.#notedUntilMs.set(origin, performance.now() + NOTED_MS)
    return true
  }

  /** As of undici's dispatchers. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const origin = String(options.origin)
    if (this.speaksHttp2Only(origin)) return this.#http2.dispatch(options, handler)
    return this.#http1.dispatch(options, {
      ...handler,
      // Nothing was sent: there is no connection yet.
      onResponseError: (controller, error) => {
        if (this.noteRefusal(origin, error)) this.#http2.dispatch(options, handler)
        else handler.onResponseError?.(controller, error)
      },
    })
  }

  async destroy(): Promise<void> {
    // From now on everything meets the closed one.
    this.#isClosed = true
    this.#notedUntilMs.clear()
    await Promise.all([this.#http1.destroy(), this.#http2.destroy()])
  }
}

/** A TLS server says so when it speaks none of the protocols offered. Met in a write, only the text tells. */
function isNoProtocol(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  const isSaid = /ALERT_NO_APPLICATION_PROTOCOL|SSL alert number 120\b/.test(
    `${String('code' in thrown && thrown.code)} ${thrown.message}`,
  )
  return isSaid || isNoProtocol(thrown.cause)
}

/**
 * Connections that carry one request at a time, so that whoever gives up a request can end its connection: undici alone
 * would only end the stream, and send the next request over a connection that is dead. How many there are is bounded by those who ask.
 */
export class SingleRequests implements Requests {
  readonly #open: (origin: string) => Dispatcher
  readonly #idle = new Map<string, Dispatcher[]>()
  readonly #busy = new Set<Dispatcher>()

  /** @param open what makes one connection to an origin and no more */
  constructor(open: (origin: string) => Dispatcher) {
    this.#open = open
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const origin = String(options.origin)
    const line = this.#idle.get(origin)?.pop() ?? this.#open(origin)
    this.#busy.add(line)
    let isSent = false
    return line.dispatch(options, {
      ...handler,
      onRequestStart: (controller, context) => {
        // undici sends what a connection lost again, also when half of the answer was handed out.
        if (isSent) return controller.abort(new errors.SocketError('the connection was lost'))
        isSent = true
        handler.onRequestStart?.(controller, context)
      },
      onResponseEnd: (controller, trailers) => {
        this.#keep(origin, line)
        handler.onResponseEnd?.(controller, trailers)
      },
      onResponseError: (controller, error) => {
        this.#end(line, error)
        handler.onResponseError?.(controller, error)
      },
    })
  }

  async destroy(): Promise<void> {
    const lines = [...this.#busy, ...[...this.#idle.values()].flat()]
    this.#idle.clear()
    await Promise.all(lines.map((line) => line.destroy()))
  }

  #keep(origin: string, line: Dispatcher): void {
    this.#busy.delete(line)
    const idle = this.#idle.get(origin) ?? []
    if (idle.length >= MAX_IDLE || (idle.length === 0 && this.#idle.size >= MAX_ORIGINS)) void line.close()
    else this.#idle.set(origin, [...idle, line])
  }

  #end(line: Dispatcher, error: Error): void {
    this.#busy.delete(line)
    void line.destroy(error)
  }
}
