import type { Clock } from '../../../src/clock-port.ts'

/** Time that goes from one sleeper to the next: everything happens in the order of its time, and in none at all. */
export class EventClock implements Clock {
  #nowMs: number
  readonly #sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>()

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  now = (): number => this.#nowMs

  sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sleeper = { dueMs: this.#nowMs + ms, wake: resolve }
    const onAbort = (): void => reject(signal.reason as Error)
    this.#sleepers.add(sleeper)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      this.#sleepers.delete(sleeper)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Lets time pass until this is over. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const over = work.finally(() => (isOver = true))
    over.catch(() => undefined)
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (isOver) return over
      const next = [...this.#sleepers].reduce<{ dueMs: number; wake: () => void } | undefined>(
        (first, each) => (first === undefined || each.dueMs < first.dueMs ? each : first),
        undefined,
      )
      if (next === undefined) throw new Error('nobody sleeps, and the work is not over')
      this.#sleepers.delete(next)
      this.#nowMs = next.dueMs
      next.wake()
    }
  }
}
