/** Deterministic randomness: everything the simulated Hub invents follows from its seed. */
import { createHash } from 'node:crypto'

/** `length` hex digits (at most 64) that follow from the seed and a label. */
export function seededHex(seed: number, label: string, length: number): string {
  return createHash('sha256').update(`${seed}\0${label}`).digest('hex').slice(0, length)
}

/** Numbers in [0, 1) from a 32-bit state (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The items in a random order; the input is left alone. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items]
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1))
    const held = result[index] as T
    result[index] = result[other] as T
    result[other] = held
  }
  return result
}
