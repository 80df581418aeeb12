import type { DecisionReason, HoldReason } from '../domain/decision.ts'

const SENTENCES: Readonly<Record<HoldReason, string>> = {
  none: 'nothing holds it back',
  budget: 'it does not fit into budget.total',
  reserve: 'it does not fit on the disk without touching budget.reserve',
  window: 'large files move only inside budget.window',
  paused: 'downloads are paused ("weightvault queue resume")',
  gated: 'the Hub gates the repository; accept its terms there and set HF_TOKEN',
  unavailable: 'the Hub does not offer the repository now',
  unwatched:
    'no entry of the watch list covers the repository any more ("weightvault watch add", or "sync" with its name)',
}

/** Why wanted bytes do not move right now, as the end of a sentence that starts with "waiting: ". */
export function holdSentence(hold: HoldReason): string {
  return SENTENCES[hold]
}

/** What holds a file back when this holds its snapshot back: small files move outside of budget, reserve and window. */
export function holdOfFile(hold: HoldReason, reason: DecisionReason): HoldReason {
  const isOfLargeFiles = hold === 'budget' || hold === 'reserve' || hold === 'window'
  return isOfLargeFiles && reason === 'small-file' ? 'none' : hold
}
