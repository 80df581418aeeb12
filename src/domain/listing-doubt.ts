/** So many missing at once are a sign of a broken listing even where most of an owner's repositories are there. */
const MANY_AT_ONCE = 20
/** Repositories of which it is no sign that most of them went. */
const FEW = 3
/** How many missing repositories are asked for before a listing that shrank is believed. */
const SAMPLE = 3

/**
 * Whether a complete listing lacks so much that it may be the listing that is broken: everything, most of it, or many
 * repositories at once.
 * @param present how many of the known repositories should be there
 * @param newlyMissing how many of these are missing for the first time
 */
export function isShrunken(present: number, newlyMissing: number): boolean {
  if (newlyMissing === 0) return false
  if (newlyMissing === present) return true
  return newlyMissing >= MANY_AT_ONCE || (newlyMissing >= FEW && newlyMissing * 2 > present)
}

/** Some of the missing to ask for: the first, the last and those in between, always the same ones. */
export function sampleOf<T>(missing: readonly T[]): T[] {
  if (missing.length <= SAMPLE) return [...missing]
  const step = (missing.length - 1) / (SAMPLE - 1)
  return Array.from({ length: SAMPLE }, (_, at) => missing[Math.round(at * step)]!)
}
