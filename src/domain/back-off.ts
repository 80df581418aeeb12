import type { ErrorCode } from './errors.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const LONGEST_MS = 6 * HOUR
const LONGEST_DAMAGED_MS = 3 * DAY

/**
 * How long a failed download waits before its next try, in milliseconds: from one minute doubling to six hours, with
 * full jitter above half. Bytes that arrived wrong wait from an hour to three days: the Hub itself may hold them damaged,
 * and fetching them again soon would only burn bandwidth.
 * @param attempts tries so far, from 1
 * @param random in [0, 1)
 */
export function backOffMs(code: ErrorCode, attempts: number, random: number): number {
  const [first, longest] = code === 'DIGEST_MISMATCH' ? [HOUR, LONGEST_DAMAGED_MS] : [MINUTE, LONGEST_MS]
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempts - 1, 30))
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}

/**
 * The time after which no pause that was given now can end. One that seems to was given by a clock that has been set back
 * since, and is over: it must not last as long as the jump was.
 */
export function latestPauseEndMs(nowMs: number): number {
  return nowMs + LONGEST_DAMAGED_MS
}
