import type { DecisionReason, FileDecision, HoldReason } from './domain/decision.ts'
import type { CommitId, Digests, Sha256 } from './domain/digest.ts'
import type { ChangeEvent } from './domain/events.ts'
import type { ContentKey, Listing, Sibling } from './domain/listing.ts'
import type { Attestor } from './domain/manifest.ts'
import type { UpstreamState } from './domain/repo-state.ts'
import type { Gate, RepoRef } from './domain/repo.ts'
import type { ContentSource } from './hub-port.ts'

/** Repositories that are put in front, and why. */
export interface RescueStart {
  /** `isDueNow`: downloads that wait after a failure are tried at once. */
  readonly repos: readonly { readonly repoId: number; readonly cause: string; readonly isDueNow: boolean }[]
  readonly at: string
  /** Every event up to this number has been looked at; undefined when a person asked. */
  readonly upToSeq: number | undefined
}

/** One rescue and what is still missing. */
export interface RescueRow {
  readonly repoId: number
  readonly ref: RepoRef
  readonly head: CommitId | undefined
  readonly upstream: UpstreamState
  readonly cause: string
  readonly askedAt: string
  readonly commitsTried: number
  readonly commitsFound: number
  /** undefined while old commits are still to be looked for. */
  readonly doneAt: string | undefined
  /** Wanted contents that are not held, each once. */
  readonly missingFiles: number
  readonly missingBytes: number
}

/** A head commit whose listing is not stored yet. */
export interface UnlistedHead {
  readonly repoId: number
  readonly ref: RepoRef
  readonly commit: CommitId
}

/** A listed head some of whose digests the Hub withheld. */
export interface UndigestedHead extends UnlistedHead {
  readonly snapshotId: number
}

/** What the last poll said of a repository besides the fields of KnownRepo. */
export interface CardFacts {
  readonly gated: Gate
  readonly tags: readonly string[]
  readonly cardData: Readonly<Record<string, unknown>> | undefined
}

/** A listing with the policy's decisions, written in one transaction: files, wanted jobs, aggregates, events. */
export interface ListingRecord {
  readonly repoId: number
  readonly listing: Listing
  readonly decisions: readonly FileDecision[]
  /** Which policy decided: a changed policy is applied again. */
  readonly policyKey: string
  readonly isSmall: (file: Sibling) => boolean
  readonly events: readonly ChangeEvent[]
}

/** A snapshot with wanted bytes that are not held: input of the schedule. */
export interface PendingSnapshot {
  readonly snapshotId: number
  readonly repoId: number
  readonly ref: RepoRef
  readonly createdAt: string | undefined
  readonly isNewRelease: boolean
  /** When it was put in front, as a number that only grows; 0 = never. */
  readonly bumpedAs: number
  readonly upstream: UpstreamState
  /** Code of why it is blocked. */
  readonly blockedBy: string | undefined
  /** Repository-wide refusal that some of its jobs met at their last try; undefined when none did. */
  readonly refusalCode: string | undefined
  /** Its missing large contents, each once; `jobId` is the same in every snapshot that misses the same bytes. */
  readonly large: readonly { readonly jobId: number; readonly key: ContentKey; readonly size: number }[]
  /** Bytes of all its missing contents, small ones too, each once. */
  readonly missingBytes: number
}

/** A snapshot that a policy decides about: pending, or the newest of its repository. */
export interface DecidedSnapshot {
  readonly snapshotId: number
  /** Present name of its repository, and key of what saw that last. */
  readonly ref: RepoRef
  readonly watch: string
  /** Which policy decided it. */
  readonly policyKey: string
  readonly isPending: boolean
  readonly rank: number
  readonly hold: HoldReason
}

/** Order and permission of a pending snapshot's large files. Rank 0 goes first. */
export interface ScheduleEntry {
  readonly snapshotId: number
  readonly rank: number
  readonly hold: HoldReason
}

/** One leased download: the bytes of one content key. */
export interface Job {
  readonly jobId: number
  readonly key: ContentKey
  readonly size: number
  readonly isSmall: boolean
  /** How often it was leased before. */
  readonly attempts: number
  /** Code of the last failure. */
  readonly lastCode: string | undefined
  /** Where the bytes can be asked for: repositories and commits that list them, best first. At most 10. */
  readonly sources: readonly ContentSource[]
}

/** A leased job whose bytes are published. */
export interface CompletedJob {
  readonly jobId: number
  readonly digests: Digests
  readonly attestedBy: readonly Attestor[]
}

/** A held blob that is not what it was. */
export interface Damage {
  readonly sha256: Sha256
  readonly found: 'corrupt' | 'missing'
}

/** How a leased job failed. */
export interface FailedTry {
  readonly code: string
  /** Not leased again before. */
  readonly nextTryMs: number
  /** Failures of a row, this one included; left out: one more than before. */
  readonly attempts?: number
}

/** Damage with the event that tells it. */
export interface NewDamage extends Damage {
  readonly event: ChangeEvent
}

/** One download of the queue, by a file that waits for it. */
export interface QueueRow {
  readonly jobId: number
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly path: string
  readonly size: number
  readonly isSmall: boolean
  readonly state: 'ready' | 'leased' | 'waiting'
  readonly hold: HoldReason
  readonly attempts: number
  readonly nextTryAt: string | undefined
  readonly lastCode: string | undefined
}

/** One file of the plan: what it is taken or left for. */
export interface PlanRow {
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly path: string
  readonly size: number
  readonly reason: DecisionReason
  readonly detail: string
  readonly hold: HoldReason
  /** ISO time of the next try of a wanted file that failed and waits; undefined for any other. */
  readonly nextTryAt: string | undefined
}

/** Sums of the plan over the whole archive. */
export interface PlanTotals {
  /** Wanted and not held, without what budget or reserve hold back or upstream withholds; each content counted once. */
  readonly filesToFetch: number
  readonly bytesToFetch: number
  /** The same, held back by budget or reserve. */
  readonly filesHeldBack: number
  readonly bytesHeldBack: number
  readonly bytesHeld: number
  readonly filesSkipped: number
  readonly bytesSkipped: number
}
