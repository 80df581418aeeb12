/** Attempts for one request, the first included. */
export const MAX_ATTEMPTS = 5

const BASE_MS = 1000
const CAP_MS = 8000
const LIMITED_BASE_MS = 4000
const LIMITED_CAP_MS = 60_000
/** No answer makes us wait longer for one attempt: one window of the Hub's quotas. */
const ASKED_CAP_MS = 5 * 60_000

/**
 * Milliseconds to wait before the next attempt: full jitter over a doubling span, never less than the server asked for,
 * never more than five minutes. Pure.
 * @param attempt counted from 1: how many have failed
 * @param random from 0 to below 1
 */
export function backOffMs(attempt: number, random: number, askedMs: number | undefined): number {
  const span = Math.min(BASE_MS * 2 ** attempt, CAP_MS)
  return Math.max(Math.floor(random * span), Math.min(askedMs ?? 0, ASKED_CAP_MS))
}

/** The same after a 429 that does not say how long: longer, and at least half of the span. */
export function limitedBackOffMs(attempt: number, random: number, askedMs: number | undefined): number {
  if (askedMs !== undefined) return Math.min(askedMs, ASKED_CAP_MS)
  const span = Math.min(LIMITED_BASE_MS * 2 ** attempt, LIMITED_CAP_MS)
  return Math.floor(span / 2 + (random * span) / 2)
}

/** Whether a status may be another one in a moment. */
export function isRetryable(status: number): boolean {
  return status === 408 || status === 429 || status >= 500
}
