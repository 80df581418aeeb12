import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { BulkExchange } from './bulk-exchange.ts'
import { LEAST_BYTES, type ExchangeLimits, type HttpAnswer, type HttpRequest } from './http-exchange.ts'
import { parseResponseHead } from './response-head.ts'
import { toTransportError, TransportError } from './transport-error.ts'
import { type Target, targetHost } from './url-target.ts'

/** Holds heads and what no sink has room for: a read, and what TLS had decrypted already when the socket was paused. */
const SCRATCH_BYTES = 256 * 1024
const READ_BYTES = 64 * 1024
const MAX_HEAD_BYTES = 32 * 1024
const IDLE_MS = 15_000
const END_OF_HEAD = '\r\n\r\n'

/** An answer that only a complete HTTP client can read. The request may be sent again by one. */
export class NotPlainError extends Error {
  override readonly name = 'NotPlainError'
}

export interface BulkConnectionOptions {
  readonly target: Target
  readonly connectMs: number
  readonly lookup: LookupFunction
  readonly mayAskAhead: () => boolean
  /** A request that was sent ahead had its turn, and no answer. */
  readonly onAheadUnanswered: () => void
  /** It closed, for whatever reason. */
  readonly onClosed: () => void
  /** It has nothing more to do, and may be used again. */
  readonly onIdle: () => void
}

/**
 * One HTTP/1.1 connection that moves bodies straight from the socket into the memory they are meant for. Requests may be
 * sent ahead; answers come in their order. Whatever is out of order closes it.
 */
export class BulkConnection {
  readonly #options: BulkConnectionOptions
  readonly #socket: Socket
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  /** Bytes in the scratch that nobody has taken yet. */
  #left = this.#scratch.subarray(0, 0)
  #head = ''
  /** Bytes since the idle deadline was last put off. */
  #arrived = 0
  readonly #exchanges: BulkExchange[] = []
  readonly #ahead = new WeakSet<BulkExchange>()
  #timer: NodeJS.Timeout | undefined
  #isOpen = true
  #isConnected = false
  #isUsed = false
  #keepsAlive = true

  constructor(options: BulkConnectionOptions) {
    this.#options = options
    const { target, lookup } = options
    const onread = {
      buffer: () => this.#memory(),
      callback: (count: number, memory: Uint8Array) => this.#read(count, memory),
    }
    const isTls = target.protocol === 'https:'
    const port = Number(new URL(target.origin).port || (isTls ? 443 : 80))
    const common = { host: target.hostname, port, lookup, onread, noDelay: true }
    this.#socket = isTls
      ? connectTls({ ...common, ALPNProtocols: ['http/1.1'], servername: isIP(target.hostname) ? '' : target.hostname })
      : connectTcp(common)
    const tooLate = `no connection within ${options.connectMs / 1000} s`
    this.#timer = setTimeout(() => this.#fail(new TransportError('unreachable', tooLate)), options.connectMs)
    this.#socket.once(isTls ? 'secureConnect' : 'connect', () => {
      this.#isConnected = true
      this.#awaitNext()
    })
    this.#socket.on('error', (error) => this.#fail(toTransportError(error, this.#exchanges[0]?.hasHead ?? false)))
    this.#socket.on('close', () => this.#fail(new TransportError('interrupted', 'the connection was closed')))
    this.#socket.resume()
  }

  /** Whether a request can be sent, perhaps behind others. */
  get isUsable(): boolean {
    return this.#isOpen && this.#keepsAlive
  }

  /** Whether an answer came over it already: then the server may have closed it just as a request was sent. */
  get isUsed(): boolean {
    return this.#isUsed
  }

  get requests(): number {
    return this.#exchanges.length
  }

  get origin(): string {
    return this.#options.target.origin
  }

  /** @throws TransportError, NotPlainError, or the signal's reason */
  request(request: HttpRequest, limits: ExchangeLimits, signal: AbortSignal): Promise<HttpAnswer> {
    const isAhead = this.#exchanges.length > 0
    const exchange = new BulkExchange(limits, signal, {
      destroy: (reason) => this.#fail(reason),
      onDemand: () => this.#goOn(),
      ahead: (next, nextLimits, nextSignal) =>
        this.isUsable && this.#options.mayAskAhead() ? this.request(next, nextLimits, nextSignal) : undefined,
    })
    if (isAhead) this.#ahead.add(exchange)
    this.#exchanges.push(exchange)
    if (this.#exchanges.length === 1) {
      this.#socket.ref()
      if (this.#isConnected) this.#awaitNext()
    }
    this.#socket.write(printRequest(request))
    return exchange.answer
  }

  /** Ends it at once; what is under way fails. */
  destroy(reason: unknown): void {
    this.#fail(reason)
  }

  /** Where the next bytes go: into their sink, as far as the body of the first exchange reaches, or behind what is left. */
  #memory(): Uint8Array {
    if (this.#left.length === 0) return this.#exchanges[0]?.view() ?? this.#scratch.subarray(0, READ_BYTES)
    const start = this.#left.byteOffset - this.#scratch.byteOffset
    if (start + this.#left.length + READ_BYTES > SCRATCH_BYTES) {
      this.#scratch.copyWithin(0, start, start + this.#left.length)
      this.#left = this.#scratch.subarray(0, this.#left.length)
    }
    const end = this.#left.byteOffset - this.#scratch.byteOffset + this.#left.length
    if (end === SCRATCH_BYTES) this.#fail(new TransportError('malformed', 'more came than was asked for'))
    return this.#scratch.subarray(end % SCRATCH_BYTES, end + READ_BYTES)
  }

  /** False pauses the socket. */
  #read(count: number, memory: Uint8Array): boolean {
    if (!this.#isOpen) return false
    this.#noteArrival(count)
    if (memory.buffer === this.#scratch.buffer) {
      const at = memory.byteOffset - this.#scratch.byteOffset
      const start = this.#left.length === 0 ? at : this.#left.byteOffset - this.#scratch.byteOffset
      this.#left = this.#scratch.subarray(start, at + count)
      return this.#spread()
    }
    return this.#guarded(() => {
      this.#exchanges[0]?.filled(count)
      return this.#afterBody()
    })
  }

  /** Whoever sends a head or a body byte by byte holds a deadline up no longer than one who sends nothing. */
  #noteArrival(count: number): void {
    this.#arrived += count
    if (this.#arrived < LEAST_BYTES || this.#exchanges[0]?.hasHead !== true) return
    this.#arrived = 0
    this.#timer?.refresh()
  }

  /** Hands out what is in the scratch. False when some of it has to wait. */
  #spread(): boolean {
    return this.#guarded(() => {
      while (this.#left.length > 0) {
        const exchange = this.#exchanges[0]
        if (exchange === undefined) throw new TransportError('malformed', 'bytes came that nobody asked for')
        if (!exchange.hasHead) {
          if (!this.#readHead(exchange)) return true
        } else {
          const taken = exchange.take(this.#left)
          this.#left = this.#left.subarray(taken)
          if (taken === 0) return this.#pause()
        }
        if (exchange.isWhole) this.#finish(exchange)
      }
      return this.#afterBody()
    })
  }

  /** After bytes went into a sink: on with the next answer, or a pause when there is no room. */
  #afterBody(): boolean {
    const exchange = this.#exchanges[0]
    if (exchange?.isWhole === true) this.#finish(exchange)
    const current = this.#exchanges[0]
    return current === undefined || !current.hasHead || current.hasRoom || this.#pause()
  }

  /** True when the head is complete. */
  #readHead(exchange: BulkExchange): boolean {
    const before = this.#head.length
    // Without what follows the head, which may be long.
    const whole = before === 0 ? this.#left.indexOf(END_OF_HEAD) : -1
    this.#head += this.#left.toString('latin1', 0, whole === -1 ? this.#left.length : whole + END_OF_HEAD.length)
    const end = whole === -1 ? this.#head.indexOf(END_OF_HEAD, Math.max(0, before - 3)) : whole
    if (end === -1) {
      if (this.#head.length > MAX_HEAD_BYTES) throw new NotPlainError('the head of the answer is too long')
      this.#left = this.#left.subarray(this.#left.length)
      return false
    }
    const head = parseResponseHead(this.#head.slice(0, end))
    this.#left = this.#left.subarray(end + 4 - before)
    this.#head = ''
    if (head === undefined) throw new NotPlainError('the answer is not plain HTTP/1.1 with a length')
    this.#keepsAlive &&= head.keepsAlive
    this.#isUsed = true
    exchange.begin(head)
    this.#startTimer('more of the body', exchange.limits.idleMs)
    return true
  }

  #finish(exchange: BulkExchange): void {
    this.#exchanges.shift()
    exchange.end()
    if (!this.#keepsAlive) return this.#fail(new TransportError('interrupted', 'the server ends the connection'))
    this.#awaitNext()
    if (this.#exchanges.length > 0) return
    this.#socket.unref()
    this.#options.onIdle()
  }

  #awaitNext(): void {
    const next = this.#exchanges[0]
    if (next === undefined) return this.#startTimer('another request', IDLE_MS)
    this.#startTimer('the headers', next.limits.headersMs)
  }

  /** The idle deadline does not run while we are the ones who wait. */
  #pause(): boolean {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#socket.pause()
    return false
  }

  /** Somebody wants the bytes that waited. */
  #goOn(): void {
    if (!this.#isOpen || this.#timer !== undefined) return
    const exchange = this.#exchanges[0]
    if (this.#left.length > 0 && !this.#spread()) return
    if (!this.#isOpen || this.#timer !== undefined) return void this.#socket.resume()
    if (exchange === this.#exchanges[0] && exchange !== undefined) {
      this.#startTimer('more of the body', exchange.limits.idleMs)
    }
    this.#socket.resume()
  }

  #startTimer(what: string, ms: number): void {
    clearTimeout(this.#timer)
    this.#arrived = 0
    this.#timer = setTimeout(() => {
      this.#fail(new TransportError('stalled', `${what} did not arrive within ${ms / 1000} s`))
    }, ms)
    if (this.#exchanges.length === 0) this.#timer.unref()
  }

  #guarded(work: () => boolean): boolean {
    try {
      return work() && this.#isOpen
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #fail(reason: unknown): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    clearTimeout(this.#timer)
    this.#socket.destroy()
    const first = this.#exchanges[0]
    const hadItsTurn = first !== undefined && !first.hasHead && this.#ahead.has(first)
    if (hadItsTurn && reason instanceof TransportError) this.#options.onAheadUnanswered()
    for (const exchange of this.#exchanges.splice(0)) exchange.fail(reason)
    this.#options.onClosed()
  }
}

function printRequest({ method, target, headers }: HttpRequest): string {
  let text = `${method} ${target.path} HTTP/1.1\r\nhost: ${targetHost(target)}\r\n`
  for (const name of Object.keys(headers)) text += `${name}: ${headers[name]}\r\n`
  return `${text}\r\n`
}
