import type { Clock } from '../../src/clock-port.ts'

/** A clock that stands still until it is moved. Nobody may sleep by it. */
export class SetClock implements Clock {
  #nowMs: number

  constructor(start = '2026-03-12T10:00:00.000Z') {
    this.#nowMs = Date.parse(start)
  }

  now = (): number => this.#nowMs

  advance(ms: number): void {
    this.#nowMs += ms
  }

  sleep = (): Promise<void> => Promise.reject(new Error('slept by a clock that stands still'))
}
