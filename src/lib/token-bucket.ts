import type { Clock } from '../clock-port.ts'

/**
 * One cap on bytes per second shared by everything that calls `take`. A burst of a quarter of a second is allowed, so
 * that timers' coarseness does not cost rate.
 */
export class TokenBucket {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  #readyAtMs = 0
  #lastMs = 0

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Returns when `bytes` more may pass. Callers are served in the order they came. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    // A clock that was set back must not make anybody wait for the length of the jump.
    if (now < this.#lastMs) this.#readyAtMs -= this.#lastMs - now
    this.#lastMs = now
    const burstMs = 250
    this.#readyAtMs = Math.max(this.#readyAtMs, now - burstMs) + bytes / this.#bytesPerMs
    const waitMs = this.#readyAtMs - now
    if (waitMs >= 1) await this.#clock.sleep(waitMs, signal)
  }
}
