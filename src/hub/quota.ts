import type { Clock } from '../clock-port.ts'
import type { QuotaReading } from './http-headers.ts'

/** What is known of one quota in its current window. */
export interface QuotaWindow {
  /** Requests we may still start, those under way already taken off. */
  readonly available: number
  readonly resetAtMs: number
  readonly quota: number | undefined
}

/** `unknown`: nobody has answered since the start or the last reset. `unlimited`: answers name no quota. */
export type QuotaKnowledge = 'unknown' | 'unlimited' | QuotaWindow

export interface PaceState {
  readonly knowledge: QuotaKnowledge
  readonly inFlight: number
  readonly lastStartMs: number
}

/** May a request start now? `after-answer`: when one under way has been answered and so has told more. */
export type Pace =
  | { readonly kind: 'go' }
  | { readonly kind: 'after-answer' }
  | { readonly kind: 'wait'; readonly ms: number }

/** No window is believed to last longer, whatever a header says. */
const MAX_WINDOW_MS = 15 * 60_000
/** Windows are told in whole seconds; a reset is not believed before this much more has passed. */
const ROUNDING_MS = 1000
const SMALL_RESERVE = 2
const MAX_BUCKETS = 16

/** Requests left to others that share the quota, and to our own mistakes. */
function reserveOf(quota: number | undefined): number {
  return quota === undefined ? SMALL_RESERVE : Math.max(1, Math.floor(quota * 0.02))
}

/**
 * When the next request may start so that no 429 comes: at once while plenty is left, evenly spread over the rest of the
 * window when little is left, after the reset when only the reserve is. Pure.
 */
export function decidePace(state: PaceState, nowMs: number): Pace {
  const { knowledge, inFlight } = state
  if (knowledge === 'unlimited') return { kind: 'go' }
  if (knowledge === 'unknown' || isOver(knowledge, nowMs)) return { kind: inFlight === 0 ? 'go' : 'after-answer' }
  const untilResetMs = Math.min(knowledge.resetAtMs - nowMs, MAX_WINDOW_MS)
  const reserve = reserveOf(knowledge.quota)
  if (knowledge.available <= reserve) return { kind: 'wait', ms: untilResetMs }
  const spreadBelow = reserve + Math.ceil((knowledge.quota ?? 0) * 0.08)
  if (knowledge.available > spreadBelow) return { kind: 'go' }
  const gapMs = Math.ceil(untilResetMs / (knowledge.available - reserve + 1))
  // A clock that was set back must not turn into a wait.
  const passedMs = Math.max(0, nowMs - state.lastStartMs)
  return passedMs >= gapMs ? { kind: 'go' } : { kind: 'wait', ms: Math.min(gapMs - passedMs, untilResetMs) }
}

/** A reset further away than any window lasts was told to a clock that has been set back since. */
function isOver({ resetAtMs }: QuotaWindow, nowMs: number): boolean {
  return nowMs >= resetAtMs || resetAtMs - nowMs > MAX_WINDOW_MS + ROUNDING_MS
}

/** When a request was under way: a reading was true at some moment between. */
export interface Span {
  readonly sentMs: number
  readonly receivedMs: number
}

/** Joins a reading with what is known. `othersInFlight` may not have been counted in it yet. Pure. */
export function learnQuota(
  known: QuotaKnowledge,
  reading: QuotaReading | undefined,
  span: Span,
  othersInFlight: number,
): QuotaKnowledge {
  const isStale = typeof known === 'string' || isOver(known, span.receivedMs)
  if (reading === undefined) return isStale ? 'unlimited' : known
  const resetMs = Math.min(reading.resetSeconds * 1000, MAX_WINDOW_MS)
  const earliestResetMs = span.sentMs + resetMs
  const resetAtMs = Math.min(span.receivedMs + resetMs, span.receivedMs + MAX_WINDOW_MS) + ROUNDING_MS
  const fresh = { available: reading.remaining - othersInFlight, resetAtMs, quota: reading.quota }
  if (isStale || earliestResetMs > known.resetAtMs + ROUNDING_MS) return fresh
  // The same window: answers may arrive in another order than they were counted in, so only ever less is believed.
  return {
    available: Math.min(known.available, fresh.available),
    resetAtMs: Math.min(known.resetAtMs, resetAtMs),
    quota: reading.quota ?? known.quota,
  }
}

/** One request's right to start. `leave` must be called once it is answered or has failed. */
export interface Permit {
  /** `reading` of the answer; 'failed' when there was none. */
  leave(reading: QuotaReading | undefined | 'failed'): void
  /** Nothing more of this quota before that time. */
  block(untilMs: number): void
}

interface Bucket {
  knowledge: QuotaKnowledge
  inFlight: number
  lastStartMs: number
  readonly waiters: Set<() => void>
}

/** Holds requests back before the Hub has to refuse them. One gate for all requests to one Hub. */
export class QuotaGate {
  readonly #clock: Clock
  readonly #onWaiting: (reason: string, untilMs: number) => void
  readonly #buckets = new Map<string, Bucket>()
  /** Which quota a kind of route was last charged to. */
  readonly #bucketOfRoute = new Map<string, string>([
    ['api', 'api'],
    ['resolve', 'resolvers'],
  ])

  constructor(clock: Clock, onWaiting: (reason: string, untilMs: number) => void) {
    this.#clock = clock
    this.#onWaiting = onWaiting
  }

  /** Waits until a request of this kind of route may start. Ends early with the signal's reason. */
  async enter(route: string, signal: AbortSignal): Promise<Permit> {
    for (;;) {
      signal.throwIfAborted()
      const name = this.#bucketOfRoute.get(route) ?? route
      const bucket = this.#bucket(name)
      const nowMs = this.#clock.now()
      const pace = decidePace(bucket, nowMs)
      if (pace.kind === 'go') return this.#start(route, bucket, nowMs)
      if (pace.kind === 'after-answer') {
        await nextAnswer(bucket, signal)
        continue
      }
      if (pace.ms >= 1000) this.#onWaiting(`the Hub's quota "${name}" is nearly used up`, nowMs + pace.ms)
      await this.#clock.sleep(pace.ms, signal)
    }
  }

  #start(route: string, bucket: Bucket, sentMs: number): Permit {
    bucket.inFlight++
    bucket.lastStartMs = sentMs
    if (typeof bucket.knowledge !== 'string') {
      bucket.knowledge = { ...bucket.knowledge, available: bucket.knowledge.available - 1 }
    }
    return {
      leave: (reading) => {
        bucket.inFlight--
        const span = { sentMs, receivedMs: this.#clock.now() }
        if (reading !== 'failed') this.#learn(route, bucket, reading, span)
        for (const wake of bucket.waiters) wake()
      },
      block: (untilMs) => {
        const resetAtMs = Math.min(untilMs, this.#clock.now() + MAX_WINDOW_MS)
        const quota = typeof bucket.knowledge === 'string' ? undefined : bucket.knowledge.quota
        bucket.knowledge = { available: 0, resetAtMs, quota }
      },
    }
  }

  #learn(route: string, asked: Bucket, reading: QuotaReading | undefined, span: Span): void {
    const charged = reading === undefined ? asked : this.#bucket(reading.bucket)
    if (reading !== undefined) this.#bucketOfRoute.set(route, reading.bucket)
    charged.knowledge = learnQuota(charged.knowledge, reading, span, charged.inFlight)
  }

  #bucket(name: string): Bucket {
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    // The Hub has three quotas; whoever names many more shares the first.
    const [first] = this.#buckets.values()
    if (first !== undefined && this.#buckets.size >= MAX_BUCKETS) return first
    const bucket: Bucket = {
      knowledge: 'unknown',
      inFlight: 0,
      lastStartMs: Number.NEGATIVE_INFINITY,
      waiters: new Set(),
    }
    this.#buckets.set(name, bucket)
    return bucket
  }
}

/** Resolves when a request of this bucket is over; throws the signal's reason when that comes first. */
async function nextAnswer(bucket: Bucket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = () => reject(signal.reason as Error)
  bucket.waiters.add(resolve)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await promise
  } finally {
    bucket.waiters.delete(resolve)
    signal.removeEventListener('abort', onAbort)
  }
}
