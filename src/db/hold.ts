import type { HoldReason } from '../domain/decision.ts'

/**
 * Holds from weakest to strongest; the catalog stores the position, so that the best of several is the smallest. Only
 * ever append.
 */
export const HOLD_ORDER = [
  'none',
  'window',
  'budget',
  'reserve',
  'paused',
  'gated',
  'unavailable',
  'unwatched',
] as const satisfies readonly HoldReason[]

/** The strongest hold that small files ignore: they are what a listing is worth without its weights. */
export const SMALL_IGNORES = HOLD_ORDER.indexOf('reserve')

/** Hold of large files that no schedule has admitted yet: nothing large moves before the budget has seen it. */
export const NOT_ADMITTED = HOLD_ORDER.indexOf('budget')

/** Rank of a snapshot that no schedule has seen yet. */
export const UNRANKED = 1_000_000_000

/** Nobody wants these bytes now: no schedule looks at them. */
export const UNWATCHED = HOLD_ORDER.indexOf('unwatched')

export function holdCode(hold: HoldReason): number {
  return HOLD_ORDER.indexOf(hold)
}

export function holdOf(code: number): HoldReason {
  return HOLD_ORDER[code] ?? 'paused'
}
