import type { Clock } from '../../../src/clock-port.ts'

/** A clock whose sleeps pass at once and move its time on. */
export interface VirtualClock extends Clock {
  /** Every sleep in order, in milliseconds. */
  readonly sleeps: readonly number[]
  advance(ms: number): void
}

export function createVirtualClock(startMs = Date.UTC(2026, 8, 23)): VirtualClock {
  let nowMs = startMs
  const sleeps: number[] = []
  return {
    sleeps,
    now: () => nowMs,
    async sleep(ms, signal) {
      signal.throwIfAborted()
      sleeps.push(ms)
      const until = nowMs + ms
      // Sleeps that began at the same moment end at the same moment.
      await new Promise<void>((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
      nowMs = Math.max(nowMs, until)
    },
    advance(ms) {
      nowMs += ms
    },
  }
}
