const SLOT_MS = 250
const SLOTS = 20

/** Bytes per second over the last five seconds. Memory is fixed. */
export class RateMeter {
  readonly #slots = Array.from({ length: SLOTS }, () => 0)
  #slot: number
  readonly #startMs: number

  constructor(nowMs: number) {
    this.#startMs = nowMs
    this.#slot = Math.floor(nowMs / SLOT_MS)
  }

  /** Counts bytes that moved now. */
  add(nowMs: number, bytes: number): void {
    this.#turnTo(nowMs)
    const at = this.#slot % SLOTS
    this.#slots[at] = (this.#slots[at] ?? 0) + bytes
  }

  /** 0 while nothing moved. */
  bytesPerSecond(nowMs: number): number {
    this.#turnTo(nowMs)
    const bytes = this.#slots.reduce((sum, slot) => sum + slot, 0)
    const spanMs = Math.min(SLOTS * SLOT_MS, Math.max(SLOT_MS, nowMs - this.#startMs))
    return (bytes / spanMs) * 1000
  }

  #turnTo(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS)
    const passed = Math.min(SLOTS, slot - this.#slot)
    for (let step = 1; step <= passed; step += 1) this.#slots[(this.#slot + step) % SLOTS] = 0
    // A clock that jumps back must not count bytes twice, nor stop the meter.
    this.#slot = passed < 0 ? this.#slot : slot
  }
}
