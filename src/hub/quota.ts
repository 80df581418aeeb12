import type { Clock } from '../clock-port.ts'
import type { QuotaReading } from './http-headers.ts'

/** What is known of one quota in its current window. It rests on one answer's reading. */
export interface QuotaWindow {
  /** How many requests may have been started in all when it is used up: what is left of it less those started already. */
  readonly limit: number
  readonly resetAtMs: number
  readonly quota: number | undefined
  /** The moment at which the reading came. */
  readonly receivedAt: number
}

/** `unknown`: nobody has answered since the start or the last reset. `unlimited`: answers name no quota. */
export type QuotaKnowledge = 'unknown' | 'unlimited' | QuotaWindow

export interface PaceState {
  readonly knowledge: QuotaKnowledge
  /** Requests started since the beginning, whether they are over or not. */
  readonly started: number
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
/** Of a quota that is charged for file bytes and for questions, this part is kept for questions: they find what is new. */
const QUESTIONS_PART = 0.2

/** Requests left to others that share the quota, and to our own mistakes. */
function reserveOf(quota: number | undefined): number {
  return quota === undefined ? SMALL_RESERVE : Math.max(1, Math.floor(quota * 0.02))
}

/**
 * When the next request may start so that no 429 comes: at once while plenty is left, evenly spread over the rest of the
 * window when little is left, after the reset when only the reserve is. Pure.
 * @param kept part of the quota, 0 to 1, that is left to requests of another kind
 */
export function decidePace(state: PaceState, nowMs: number, kept = 0): Pace {
  const { knowledge, inFlight } = state
  if (knowledge === 'unlimited') return { kind: 'go' }
  if (knowledge === 'unknown' || isOver(knowledge, nowMs)) return { kind: inFlight === 0 ? 'go' : 'after-answer' }
  const quota = knowledge.quota ?? 0
  const available = knowledge.limit - state.started - Math.floor(quota * kept)
  const untilResetMs = Math.min(knowledge.resetAtMs - nowMs, MAX_WINDOW_MS)
  const reserve = reserveOf(knowledge.quota)
  if (available <= reserve) return { kind: 'wait', ms: untilResetMs }
  if (available > reserve + Math.ceil(quota * 0.08)) return { kind: 'go' }
  const gapMs = Math.ceil(untilResetMs / (available - reserve + 1))
  // A clock that was set back must not turn into a wait.
  const passedMs = Math.max(0, nowMs - state.lastStartMs)
  return passedMs >= gapMs ? { kind: 'go' } : { kind: 'wait', ms: Math.min(gapMs - passedMs, untilResetMs) }
}

/** A reset further away than any window lasts was told to a clock that has been set back since. */
function isOver({ resetAtMs }: QuotaWindow, nowMs: number): boolean {
  return nowMs >= resetAtMs || resetAtMs - nowMs > MAX_WINDOW_MS + ROUNDING_MS
}

/** When the request of a reading was under way: the reading was true at some time between. */
export interface Span {
  /** Moments count the starts and ends of requests. They order what happened though the clock is set. */
  readonly sentAt: number
  readonly receivedAt: number
  readonly receivedMs: number
  /** Requests started until it was received. */
  readonly started: number
  /** Those of them, without its own, that were not over when it was sent: they may not be counted in the reading. */
  readonly uncounted: number
}

/** Joins a reading with what is known. Pure. */
export function learnQuota(known: QuotaKnowledge, reading: QuotaReading | undefined, span: Span): QuotaKnowledge {
  const isStale = typeof known === 'string' || isOver(known, span.receivedMs)
  if (reading === undefined) return isStale ? 'unlimited' : known
  const { receivedAt, receivedMs } = span
  const fresh = {
    limit: span.started + reading.remaining - span.uncounted,
    resetAtMs: receivedMs + Math.min(reading.resetSeconds * 1000, MAX_WINDOW_MS) + ROUNDING_MS,
    quota: reading.quota ?? (isStale ? undefined : known.quota),
    receivedAt,
  }
  // Asked for after the known one had come, it is the later one and true though it says more.
  if (isStale || span.sentAt > known.receivedAt) return fresh
  // Either may be the later one: the one that says less is believed.
  return { ...(fresh.limit < known.limit ? fresh : known), resetAtMs: Math.min(known.resetAtMs, fresh.resetAtMs) }
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
  started: number
  inFlight: number
  lastStartMs: number
  readonly waiters: Set<() => void>
}

/** What had happened when a request was sent. */
interface Sent {
  readonly route: string
  readonly bucket: Bucket
  readonly at: number
  /** Requests that were over, those of its bucket and all. */
  readonly over: { readonly ofBucket: number; readonly ofAll: number }
}

/** Holds requests back before the Hub has to refuse them. One gate for all requests of one caller to one Hub. */
export class QuotaGate {
  readonly #clock: Clock
  readonly #onWaiting: (reason: string, untilMs: number) => void
  readonly #buckets = new Map<string, Bucket>()
  /** Which quota a kind of route was last charged to. */
  readonly #bucketOfRoute = new Map<string, string>([
    ['api', 'api'],
    ['resolve', 'resolvers'],
  ])
  #started = 0
  #over = 0

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
      const isGuest = route !== 'api' && name === this.#bucketOfRoute.get('api')
      const pace = decidePace(bucket, nowMs, isGuest ? QUESTIONS_PART : 0)
      if (pace.kind === 'go') return this.#start(route, bucket, nowMs)
      if (pace.kind === 'after-answer') {
        await nextAnswer(bucket, signal)
        continue
      }
      if (pace.ms >= 1000) this.#onWaiting(`the Hub's quota "${name}" is nearly used up`, nowMs + pace.ms)
      await this.#wait(bucket, pace.ms, signal)
    }
  }

  /** Until so much time has passed, or an answer has told more. */
  async #wait(bucket: Bucket, ms: number, signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const both = AbortSignal.any([signal, ended.signal])
    try {
      await Promise.race([this.#clock.sleep(ms, both), nextAnswer(bucket, both)])
    } finally {
      ended.abort()
    }
  }

  #start(route: string, bucket: Bucket, nowMs: number): Permit {
    const over = { ofBucket: bucket.started - bucket.inFlight, ofAll: this.#over }
    this.#started++
    bucket.started++
    bucket.inFlight++
    bucket.lastStartMs = nowMs
    const sent: Sent = { route, bucket, at: this.#moment(), over }
    return {
      leave: (reading) => {
        this.#over++
        bucket.inFlight--
        if (reading !== 'failed') this.#learn(sent, reading)
        for (const wake of bucket.waiters) wake()
      },
      block: (untilMs) => {
        const resetAtMs = Math.min(untilMs, this.#clock.now() + MAX_WINDOW_MS)
        const quota = typeof bucket.knowledge === 'string' ? undefined : bucket.knowledge.quota
        bucket.knowledge = { limit: bucket.started, resetAtMs, quota, receivedAt: this.#moment() }
      },
    }
  }

  #moment(): number {
    return this.#started + this.#over
  }

  #learn({ route, bucket: asked, at, over }: Sent, reading: QuotaReading | undefined): void {
    const charged = reading === undefined ? asked : this.#bucket(reading.bucket)
    if (reading !== undefined) this.#bucketOfRoute.set(route, reading.bucket)
    // Of a quota it was not asked for in, any other request may have been charged to it, too.
    const notOver = charged === asked ? asked.started - over.ofBucket : this.#started - over.ofAll
    charged.knowledge = learnQuota(charged.knowledge, reading, {
      sentAt: at,
      receivedAt: this.#moment(),
      receivedMs: this.#clock.now(),
      started: charged.started,
      uncounted: notOver - 1,
    })
  }

  #bucket(name: string): Bucket {
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    // The Hub has three quotas; whoever names many more shares the first.
    const [first] = this.#buckets.values()
    if (first !== undefined && this.#buckets.size >= MAX_BUCKETS) return first
    const bucket: Bucket = {
      knowledge: 'unknown',
      started: 0,
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
