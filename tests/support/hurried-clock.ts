import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../src/clock-port.ts'

/** What a sleep really takes: long enough for other work to go on. */
const REAL_MS = 2

/**
 * A clock for which hours pass in no time: a sleep takes a moment, and then it is as late as was asked for. Time never
 * goes back, and never further than some sleeper asked. Give its `now` to the simulated Hub, so that both agree.
 */
export class HurriedClock implements Clock {
  #skippedMs = 0

  /** @param startMs what it shows at first, in milliseconds since 1970; default: the time */
  constructor(startMs?: number) {
    if (startMs !== undefined) this.#skippedMs = Math.ceil(startMs - this.now())
  }

  /** So much later, at once. */
  skip(ms: number): void {
    this.#skippedMs += ms
  }

  now = (): number => Math.floor(performance.timeOrigin + performance.now() + this.#skippedMs)

  sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    const untilMs = this.now() + ms
    await pause(Math.min(ms, REAL_MS), undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
    this.#skippedMs += Math.max(0, untilMs - this.now())
  }
}
