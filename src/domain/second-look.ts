/**
 * Times a block is asked for again at most. One that comes in yet another way each time is not to be had over this line,
 * and a server that invents bytes could go on for ever.
 */
const MAX_ASKS = 3

/**
 * What a later arrival of a block says about the version in the file.
 * `confirmed`: it came so twice. `replace`: another version came twice. `ask-again`: each version came once.
 * `undecided`: so it is, but it was asked for often enough.
 */
export type Verdict = 'confirmed' | 'replace' | 'ask-again' | 'undecided'

/**
 * Which version of a block counts: the one that came twice. That only says what is worth proving.
 * @param inFile CRC-32 of the block as it arrived first and is in the file
 * @param seen CRC-32 of what came later, before this time, and differed
 * @param now CRC-32 of what came this time
 */
export function judgeArrival(inFile: number, seen: readonly number[], now: number): Verdict {
  if (now === inFile) return 'confirmed'
  if (seen.includes(now)) return 'replace'
  return seen.length + 1 < MAX_ASKS ? 'ask-again' : 'undecided'
}

/**
 * Whether the whole is to be proven before more is compared. The first replaced block is mostly the only one, so the rest
 * need not come again; but where many are replaced, a proof for each would read the file as often.
 * @param replaced blocks replaced so far
 * @param proven of them those that were there at the last proof
 */
export function isProofDue(replaced: number, proven: number): boolean {
  return replaced > proven && replaced >= 2 * proven
}
