import { ArchiveError, errorCodeOf, ERROR_CODES } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { HubFile, HubSource, RangeBody, ResolvedFile } from '../hub-port.ts'
import type { PartialRange, RangeSource } from '../intake-port.ts'
import type { TokenBucket } from '../lib/token-bucket.ts'
import { FAR_MS, type Lane, type LaneBudget } from './lane-budget.ts'
import { PacedSink } from './paced-sink.ts'

/** Bytes of one request: what one broken answer costs at most. */
const PIECE_BYTES = 4 * 1024 * 1024
/** More than any file has: sizes are cut to whole blocks, and the last one must be in. */
const FAR_BYTES = Number.MAX_SAFE_INTEGER
/** Towards the end of a file, so that all connections end together. */
const SMALLEST_PIECE_BYTES = 1024 * 1024

/** A timer that is later says more about us than about the server. */
const MAX_LATE_MS = 5

/** The server sent the whole file instead of a range. */
export class RangeIgnored extends Error {
  override readonly name = 'RangeIgnored'
}

export interface FillOptions {
  readonly hub: HubSource
  readonly source: HubFile
  readonly resolved: ResolvedFile
  readonly size: number
  readonly partial: RangeSource
  readonly bucket: TokenBucket
  readonly budget: LaneBudget
  /** One request for everything, for a server that knows no ranges. */
  readonly whole: boolean
  readonly onBytes: (bytes: number) => void
  /** Asked before each request. @throws what ends the download for now */
  readonly mayContinue: () => Promise<void>
}

/**
 * Fetches what is missing of a file over as many connections as the budget gives. Ranges come in order from one queue,
 * so that the file is hashed while it arrives. A connection that breaks ends; what it had left is fetched by the others,
 * or by the next call.
 * @throws the first failure, once every connection has ended; RangeIgnored
 */
export async function fillRanges(options: FillOptions, signal: AbortSignal): Promise<void> {
  await new RangeFill(options, signal).run()
}

class RangeFill {
  readonly #options: FillOptions
  readonly #host: string
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #lanes = new Set<Promise<void>>()
  /** Bytes of ranges that are under way. */
  #claimed = 0
  #failure: Error | undefined
  /** Nothing was left to claim the last time; a connection more would end at once, and the room it leaves ask for it again. */
  #isAllClaimed = false
  /** No more requests: the link is no longer good, or everything is claimed. */
  #isEnding = false

  constructor(options: FillOptions, signal: AbortSignal) {
    this.#options = options
    this.#host = new URL(options.resolved.url).host
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
  }

  async run(): Promise<void> {
    const endRoom = this.#options.budget.onRoom(() => this.#widen())
    try {
      while (!this.#isEnding && this.#failure === undefined) {
        this.#widen()
        if (this.#lanes.size > 0) break
        await this.#nextRoom()
      }
      while (this.#lanes.size > 0) await Promise.all(this.#lanes)
    } finally {
      endRoom()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  get #unclaimed(): number {
    return this.#options.size - this.#options.partial.heldBytes - this.#claimed
  }

  /** Starts connections while there is work and room for one. */
  #widen(): void {
    const { budget, partial, whole } = this.#options
    const most = whole ? 1 : partial.maxRanges
    while (!this.#isEnding && !this.#isAllClaimed && this.#lanes.size < most && this.#unclaimed > 0) {
      const lane = budget.enter(this.#host, this.#lanes.size === 0)
      if (lane === undefined) return
      // Counted from now on, although its range is claimed a moment later.
      const running: Promise<void> = this.#runLane(lane).finally(() => this.#lanes.delete(running))
      this.#lanes.add(running)
      if (this.#lanes.size * SMALLEST_PIECE_BYTES >= this.#unclaimed) return
    }
  }

  async #nextRoom(): Promise<void> {
    this.#signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = this.#options.budget.onRoom(resolve)
    const onAbort = (): void => resolve()
    this.#signal.addEventListener('abort', onAbort, { once: true })
    await promise
    end()
    this.#signal.removeEventListener('abort', onAbort)
    this.#signal.throwIfAborted()
  }

  /** Never rejects. */
  async #runLane(lane: Lane): Promise<void> {
    try {
      await this.#fetchRanges(lane)
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
      this.#isEnding = true
      if (!mayPass(error)) this.#stop.abort(error)
      else if (isRefusal(error, lane)) lane.refused()
    } finally {
      lane.leave()
    }
  }

  async #fetchRanges(lane: Lane): Promise<void> {
    let next = await this.#claim()
    let answer: Promise<RangeBody> | undefined
    while (next !== undefined) {
      const range: PartialRange = next
      const asked = answer ?? this.#open(range, lane)
      next = undefined
      answer = undefined
      try {
        await using body = await asked
        this.#check(body, range)
        if (lane.mayStay() && !this.#options.whole) {
          next = await this.#claim()
          answer = next && body.ahead(next.start, next.end, this.#signal)
          if (answer !== undefined) next?.follows(range)
          // It is awaited in its turn; until then its failure is nobody's.
          answer?.catch(() => undefined)
        }
        await this.#move(body, range, lane)
      } catch (error) {
        await answer?.then((body) => body[Symbol.asyncDispose]()).catch(() => undefined)
        this.#release(next)
        throw error
      } finally {
        this.#release(range)
      }
      if (next === undefined && lane.mayStay()) next = await this.#claim()
    }
  }

  /** The next range; undefined when there is none, or no more are wanted. */
  async #claim(): Promise<PartialRange | undefined> {
    if (this.#isEnding) return undefined
    await this.#options.mayContinue()
    const { partial, whole } = this.#options
    // Not less: far away a small range is over before the next one, asked for at its beginning, has come.
    const share = Math.max(SMALLEST_PIECE_BYTES, Math.floor(this.#unclaimed / Math.max(1, this.#lanes.size)))
    const range = await partial.claim(whole ? FAR_BYTES : Math.min(PIECE_BYTES, share), this.#signal)
    if (range === undefined) this.#isAllClaimed = true
    else this.#claimed += range.end - range.start
    return range
  }

  #release(range: PartialRange | undefined): void {
    if (range === undefined) return
    this.#claimed -= range.end - range.start
    range.release()
    // What it had left may be claimed now.
    this.#isAllClaimed = false
  }

  async #open(range: PartialRange, lane: Lane): Promise<RangeBody> {
    const endWatch = whenSilent(FAR_MS, () => lane.waits())
    try {
      const body = await this.#options.hub.openRange(this.#options.resolved, range.start, range.end, this.#signal)
      lane.answered()
      return body
    } finally {
      endWatch()
    }
  }

  #check(body: RangeBody, range: PartialRange): void {
    const { source, size } = this.#options
    if (body.totalSize !== size) throw wrongTotal(source, body.totalSize, size)
    if (body.start !== range.start || body.end !== range.end) throw new RangeIgnored()
  }

  async #move(body: RangeBody, range: PartialRange, lane: Lane): Promise<void> {
    const onBytes = (bytes: number): void => {
      lane.moved(bytes)
      this.#options.onBytes(bytes)
    }
    const sink = new PacedSink(range, this.#options.bucket, onBytes, (ms) => lane.held(ms))
    try {
      await body.into(sink, this.#signal)
    } finally {
      sink.flush()
    }
  }
}

/** The error of a file that is served with another size than its listing has. */
export function wrongTotal(source: HubFile, served: number, size: number): ArchiveError {
  const name = `${displayName(source.path)} of ${printRepo(source.ref)}`
  return new ArchiveError('TRANSFER_INVALID', `${name} is served with ${served} bytes instead of ${size}`, {
    hint: 'nothing was stored; it is tried again later',
  })
}

/** Whether another request may bring what this one did not: the connection or the link was at fault, or the server was busy. */
export function mayPass(error: unknown): boolean {
  const code = errorCodeOf(error)
  return code === 'HUB_UNREACHABLE' || ERROR_CODES[code].retry === 'now'
}

/** Whether it may have been one connection too many for the server. */
function isRefusal(error: unknown, lane: Lane): boolean {
  const code = errorCodeOf(error)
  return code === 'HUB_UNREACHABLE' || (code !== 'LINK_EXPIRED' && !lane.hasDelivered)
}

/** Calls back once when so long went by; not when this process itself was busy meanwhile. Returns a function that ends this. */
function whenSilent(ms: number, callBack: () => void): () => void {
  const start = (): NodeJS.Timeout => {
    const startMs = performance.now()
    return setTimeout(() => {
      if (performance.now() - startMs < ms + MAX_LATE_MS) callBack()
      else timer = start()
    }, ms)
  }
  let timer = start()
  return () => clearTimeout(timer)
}
