import { isAsked, type AlertRule } from './alert-rules.ts'
import type { LoggedEvent } from './events.ts'
import { splitRepoName } from './repo.ts'

/** What one message is about, fixed before it is first sent, so that every try of it is the same message. */
export interface CutMessage {
  /** Idempotency key: the event's own id for a single event. */
  readonly id: string
  readonly kind: 'alert' | 'digest'
  /** Numbers of its events, ascending. */
  readonly seqs: readonly number[]
}

/** So many events of one cause in one cut are one message. */
const COALESCE_FROM = 3
/** More messages than this from one cut are joined by type alone. */
const MOST_MESSAGES = 20
/** So many messages in so long are a storm; then cuts are so far apart that their events coalesce. */
const STORM_MESSAGES = 10
const STORM_WINDOW_MS = 10 * 60_000
const STORM_PAUSE_MS = 60_000

/**
 * Messages for the events of one stretch of the log, in the order of each message's first event. Many events of one
 * cause are one message; no event that a rule asks for is left out.
 * @param withInfo false leaves events of severity `info` to the digest
 */
export function cutAlerts(
  rules: readonly AlertRule[],
  events: readonly LoggedEvent[],
  withInfo: boolean,
): readonly CutMessage[] {
  const asked = events.filter((event) => (withInfo || event.severity !== 'info') && isAsked(rules, event))
  const messages = joined(asked, causeOf)
  return messages.length <= MOST_MESSAGES ? messages : joined(asked, ({ type, severity }) => `${severity} ${type}`)
}

/** One message for all events of severity `info` that the rules ask for; undefined when there are none. */
export function cutDigest(rules: readonly AlertRule[], events: readonly LoggedEvent[]): CutMessage | undefined {
  const asked = events.filter((event) => event.severity === 'info' && isAsked(rules, event))
  const [first] = asked
  const last = asked.at(-1)
  if (first === undefined || last === undefined) return undefined
  return { id: `${first.id}-to-${last.seq}-digest`, kind: 'digest', seqs: asked.map(({ seq }) => seq) }
}

/** How many messages a channel got lately. Times in milliseconds since 1970. */
export interface Burst {
  readonly fromMs: number
  readonly count: number
  readonly lastCutMs: number
}

/** Milliseconds until the next cut, 0 for now. A clock that was set back does not prolong it. */
export function stormPauseMs(burst: Burst, nowMs: number): number {
  const isStorm = burst.count >= STORM_MESSAGES && isWithin(burst.fromMs, nowMs, STORM_WINDOW_MS)
  if (!isStorm || !isWithin(burst.lastCutMs, nowMs, STORM_PAUSE_MS)) return 0
  return burst.lastCutMs + STORM_PAUSE_MS - nowMs
}

/** The count after a cut that made so many messages. */
export function burstAfter(burst: Burst, messages: number, nowMs: number): Burst {
  if (messages === 0) return burst
  const goesOn = isWithin(burst.fromMs, nowMs, STORM_WINDOW_MS)
  return goesOn
    ? { fromMs: burst.fromMs, count: burst.count + messages, lastCutMs: nowMs }
    : { fromMs: nowMs, count: messages, lastCutMs: nowMs }
}

function isWithin(fromMs: number, nowMs: number, lengthMs: number): boolean {
  return nowMs >= fromMs && nowMs - fromMs < lengthMs
}

/** What brought an event about: an owner's doing of one kind, or a watch's trouble. */
function causeOf({ type, severity, repo, detail }: LoggedEvent): string {
  const owner = repo === undefined ? (detail['owner'] ?? detail['watch']) : splitRepoName(repo.name).owner
  return `${severity} ${type} ${typeof owner === 'string' ? owner.toLowerCase() : ''}`
}

function joined(events: readonly LoggedEvent[], cause: (event: LoggedEvent) => string): CutMessage[] {
  const groups = Map.groupBy(events, cause)
  const messages = [...groups.values()].flatMap((group) =>
    group.length < COALESCE_FROM ? group.map((event) => messageOf([event])) : [messageOf(group)],
  )
  return messages.toSorted((a, b) => (a.seqs[0] ?? 0) - (b.seqs[0] ?? 0))
}

function messageOf(events: readonly LoggedEvent[]): CutMessage {
  const seqs = events.map(({ seq }) => seq)
  const id = events[0]?.id ?? ''
  return { id: events.length === 1 ? id : `${id}-to-${seqs.at(-1)}`, kind: 'alert', seqs }
}
