import type { Severity } from './events.ts'

const FIRST_PAUSE_MS = 10_000
const LONGEST_PAUSE_MS = 3_600_000
/** So many failures in a row are told to the other channels, and again every day that they go on. */
const TOLD_AFTER = 3
const TOLD_EVERY_MS = 24 * 3_600_000
/** What a failing channel does not take for so long is given up. */
export const GIVE_UP_AFTER_MS = 7 * 24 * 3_600_000
/** And not before so many tries in a row failed. */
export const LEAST_TRIES = 7
/** A message refused so often is sent in its short form. */
const REDUCED_AFTER = 3

/** Severity of messages about a channel itself. */
export const NOTICE_SEVERITY: Severity = 'warning'

/**
 * Milliseconds until the next try: from ten seconds doubling to an hour, with full jitter above half; longer where the
 * channel asked for it.
 * @param failures in a row, from 1
 * @param random in [0, 1)
 */
export function alertPauseMs(failures: number, random: number, askedMs: number | undefined): number {
  const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20))
  const pause = Math.round(ceiling / 2 + (ceiling / 2) * random)
  return Math.min(LONGEST_PAUSE_MS, Math.max(pause, askedMs ?? 0))
}

/** Whether a try may be made now. A clock that was set back puts nothing off for longer than the longest pause. */
export function isTryDue(nextTryMs: number, nowMs: number): boolean {
  return nextTryMs <= nowMs || nextTryMs > nowMs + LONGEST_PAUSE_MS
}

/** Whether the next digest is to be made. A clock that was set back does not put it off for longer than its period. */
export function isDigestDue(digestAtMs: number, digestMs: number, nowMs: number): boolean {
  return digestAtMs <= nowMs || digestAtMs > nowMs + digestMs
}

/** Whether this failure is told to the other channels. */
export function isToldNow(failures: number, toldMs: number | undefined, nowMs: number): boolean {
  return failures >= TOLD_AFTER && (toldMs === undefined || Math.abs(nowMs - toldMs) >= TOLD_EVERY_MS)
}

/** Whether a channel that keeps refusing this message gets it without text from upstream. */
export function isReduced(attempts: number, lastCode: string | undefined): boolean {
  return attempts >= REDUCED_AFTER && lastCode === 'CHANNEL_REFUSED'
}
