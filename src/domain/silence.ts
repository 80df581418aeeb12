const DAY_MS = 24 * 60 * 60 * 1000
/** How much of the past tells the usual pace. */
const PAST_MS = 365 * DAY_MS
/** Days with publications in that past from which a pace can be told. */
const ENOUGH_DAYS = 8
/** A pace is never called broken before this. */
const LEAST_MS = 14 * DAY_MS
/** How much longer than the longest pause of the past a pause must be. */
const FACTOR = 1.5

/** An owner who published nothing and updated nothing for unusually long. */
export interface Silence {
  /** Milliseconds since 1970 of the last sign of life, or of when we began to watch, whichever is later. */
  readonly sinceMs: number
  readonly quietMs: number
  /** `days`: longer than configured; `pace`: longer than this owner ever paused in the year before. */
  readonly reason: 'days' | 'pace'
  /** The longest pause of the year before; undefined where there is too little to tell. */
  readonly longestPauseMs: number | undefined
}

/**
 * Whether an owner has fallen silent. Signs of life that lie in the future count for nothing: clocks may be years off.
 * What was before we watched tells the usual pace and never a silence by itself.
 * @param times of publications and updates, in milliseconds since 1970, in any order
 */
export function judgeSilence(
  times: readonly number[],
  given: { readonly nowMs: number; readonly watchedSinceMs: number; readonly silentAfterMs: number },
): Silence | undefined {
  const { nowMs, watchedSinceMs, silentAfterMs } = given
  const past = times.filter((time) => time <= nowMs).toSorted((a, b) => a - b)
  const sinceMs = Math.max(past.at(-1) ?? watchedSinceMs, watchedSinceMs)
  const quietMs = nowMs - sinceMs
  const longestPauseMs = longestPause(past)
  if (quietMs >= silentAfterMs) return { sinceMs, quietMs, reason: 'days', longestPauseMs }
  const isSlower = longestPauseMs !== undefined && quietMs > longestPauseMs * FACTOR && quietMs >= LEAST_MS
  return isSlower ? { sinceMs, quietMs, reason: 'pace', longestPauseMs } : undefined
}

/** Between days on which something happened, in the year before the last of them. */
function longestPause(past: readonly number[]): number | undefined {
  const last = past.at(-1)
  if (last === undefined) return undefined
  const days = [...new Set(past.filter((time) => time >= last - PAST_MS).map((time) => Math.floor(time / DAY_MS)))]
  if (days.length < ENOUGH_DAYS) return undefined
  return Math.max(...days.slice(1).map((day, at) => day - (days[at] ?? day))) * DAY_MS
}

/** So far may the Hub's clock be from ours before nothing is concluded from time alone. */
const TRUSTED_SKEW_MS = DAY_MS

/** Whether our clock agrees with the Hub's: one of them may be years off. Without a date there is nothing to disagree. */
export function isClockTrusted(nowMs: number, dateHeader: string | undefined): boolean {
  const hubMs = Date.parse(dateHeader ?? '')
  return Number.isNaN(hubMs) || Math.abs(hubMs - nowMs) <= TRUSTED_SKEW_MS
}
