/**
 * Why a file is taken or not; stored with the file, shown by `why`, `plan` and `show`. The position in this list is
 * what the catalog stores: only ever append.
 */
export const DECISION_REASONS = [
  'small-file',
  'wanted',
  'shard-set',
  'not-decided',
  'metadata-only',
  'format-not-wanted',
  'quant-not-wanted',
  'not-included',
  'excluded',
  'repo-too-large',
  'unsafe-name',
  'digest-unknown',
] as const
export type DecisionReason = (typeof DECISION_REASONS)[number]

/** The policy's answer for one file of a listing. */
export interface FileDecision {
  readonly path: string
  readonly take: boolean
  readonly reason: DecisionReason
  /** One sentence for a person, e.g. "Q3_K_S is not in keep.quants (Q8_0, Q4_K_M)". */
  readonly detail: string
}

/** Why a wanted snapshot's large files do not move right now. */
export const HOLD_REASONS = [
  'none',
  'budget',
  'reserve',
  'window',
  'paused',
  'gated',
  'unavailable',
  'unwatched',
] as const
export type HoldReason = (typeof HOLD_REASONS)[number]

/** What of a repo to keep; the resolved form of `watch[].keep`. */
export interface KeepPolicy {
  readonly files: 'all' | 'metadata'
  /** undefined = every format. Lower case. */
  readonly formats: readonly string[] | undefined
  /** undefined = every quantisation. Upper case. */
  readonly quants: readonly string[] | undefined
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly maxRepoBytes: number | undefined
}
