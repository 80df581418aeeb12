import type { Clock } from '../clock-port.ts'

/** So much may pass at once, in time: timers' coarseness does not cost rate then. */
const BURST_MS = 250
/** Whoever waits looks so often whether the rate is another one. */
const LOOK_EVERY_MS = 1000

/** One cap on bytes per second shared by everything that calls `take`. It may be changed, or taken away, at any time. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #rateOf: () => number | undefined
  /** Bytes that were asked for since the beginning, and that could have passed by `#lastMs`. */
  #asked = 0
  #given = 0
  #lastMs = 0

  /** @param rateOf bytes per second at this moment; undefined: no cap */
  constructor(clock: Clock, rateOf: () => number | undefined) {
    this.#clock = clock
    this.#rateOf = rateOf
  }

  get isCapped(): boolean {
    return this.#rateOf() !== undefined
  }

  /** Returns when `bytes` more may pass. Callers are served in the order they came. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    this.#give()
    this.#asked += bytes
    const upTo = this.#asked
    for (;;) {
      this.#give()
      const waitMs = this.#waitMs(upTo)
      if (waitMs < 1) return
      await this.#clock.sleep(Math.min(waitMs, LOOK_EVERY_MS), signal)
    }
  }

  #waitMs(upTo: number): number {
    const rate = this.#rateOf()
    return rate === undefined ? 0 : ((upTo - this.#given) / rate) * 1000
  }

  #give(): void {
    const now = this.#clock.now()
    // A clock that was set back must not make anybody wait for the length of the jump.
    const passedMs = Math.max(0, now - this.#lastMs)
    this.#lastMs = now
    const rate = this.#rateOf()
    // What nobody asked for is not saved up, and what passed without a cap is not owed.
    if (rate === undefined) this.#given = this.#asked
    else this.#given = Math.min(this.#given + (passedMs * rate) / 1000, this.#asked + (BURST_MS * rate) / 1000)
  }
}
