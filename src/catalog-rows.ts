import type { DecisionReason, FileDecision, HoldReason } from './domain/decision.ts'
import type { CommitId, Digests, HubId, Sha256 } from './domain/digest.ts'
import type { ChangeEvent } from './domain/events.ts'
import type { ContentKey, Listing, Sibling } from './domain/listing.ts'
import type { Attestor, Coverage } from './domain/manifest.ts'
import type { Gate, LicenseFacts, RepoFacts, RepoName, RepoRef } from './domain/repo.ts'
import type { HubRef } from './domain/ref-changes.ts'
import type { UpstreamState } from './domain/repo-state.ts'
import type { ContentSource } from './hub-port.ts'

export { UPSTREAM_STATES, type UpstreamState } from './domain/repo-state.ts'

export const SNAPSHOT_STATES = ['listed', 'fetching', 'sealed', 'blocked'] as const
export type SnapshotState = (typeof SNAPSHOT_STATES)[number]

/** What the catalog knows of a repository: the base of every diff. */
export interface KnownRepo {
  readonly repoId: number
  readonly ref: RepoRef
  readonly hubId: HubId
  readonly head: CommitId | undefined
  /** Whether the head's listing is in the catalog. */
  readonly headListed: boolean
  readonly gated: Gate
  readonly private: boolean
  readonly disabled: boolean
  readonly license: LicenseFacts
  readonly upstream: UpstreamState
  /** Where a redirect says it went; only of a `renamed` one. */
  readonly movedTo: string | undefined
  /** Complete listings in a row that lacked it, and ISO time of the first of them. */
  readonly misses: number
  readonly firstMissAt: string | undefined
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
}

/** The result of one complete poll, written in one transaction. */
export interface PollRecord {
  /** Every repository under `changed` and `unchanged` belongs to this watch from now on. */
  readonly watch: string
  readonly at: string
  /** Repositories that are new or whose facts moved. Facts replace what is known. */
  readonly changed: readonly {
    readonly facts: RepoFacts
    readonly upstream: UpstreamState
    /** What proves it, where that is not the listing. */
    readonly evidence?: unknown
  }[]
  /** Repositories seen unchanged: only their last-seen time moves and misses are forgotten. */
  readonly unchanged: readonly number[]
  /** Repositories of this watch that the listing lacked. */
  readonly missing: readonly { readonly repoId: number; readonly misses: number; readonly firstMissAt: string }[]
  /** What asking directly found, the same state as before, too: their misses are forgotten. */
  readonly states: readonly {
    readonly repoId: number
    readonly upstream: UpstreamState
    readonly evidence: unknown
  }[]
  readonly events: readonly ChangeEvent[]
  /** Whether this is the first complete poll of the watch: its repos are the backlog, not new releases. */
  readonly isFirst: boolean
  /** The Hub's answer that everything in the listing rests on. */
  readonly evidence?: unknown
  /** Why the listing is not believed to be whole: the watch is in trouble, and what is listed counts all the same. */
  readonly doubt?: { readonly code: string; readonly message: string } | undefined
}

/** One change of a repository's state and what proves it. */
export interface TransitionRow {
  readonly at: string
  readonly from: UpstreamState
  readonly to: UpstreamState
  readonly evidence: unknown
}

/** A repository whose branches and tags are to be read, with those of the last look. */
export interface DueRefs {
  readonly repoId: number
  readonly ref: RepoRef
  readonly head: CommitId
  readonly known: { readonly head: CommitId; readonly refs: readonly HubRef[] } | undefined
}

/** Branches and tags as read now, and what changed, written in one transaction. */
export interface RefRecord {
  readonly repoId: number
  readonly head: CommitId
  readonly refs: readonly HubRef[]
  readonly at: string
  readonly events: readonly ChangeEvent[]
}

/** When a repository showed signs of life: ISO times of the Hub's, and of ours when it was new to us. */
export interface RepoActivity {
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
  readonly firstSeenAt: string
  /** When we listed its present head; undefined before. */
  readonly listedAt: string | undefined
  /** Published while we watched, as opposed to the backlog of the first poll. */
  readonly isNewRelease: boolean
}

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

/** State of one watch entry. */
export interface WatchState {
  readonly watch: string
  readonly lastPollAt: string | undefined
  readonly lastOkAt: string | undefined
  readonly lastErrorCode: string | undefined
  readonly lastErrorMessage: string | undefined
  readonly repos: number
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

/** Damage with the event that tells it. */
export interface NewDamage extends Damage {
  readonly event: ChangeEvent
}

/** One file of a snapshot as the catalog has it. */
export interface FileRow extends Sibling {
  readonly take: boolean
  readonly reason: DecisionReason
  readonly detail: string
  readonly sha256: Sha256 | undefined
  readonly attestedBy: readonly Attestor[]
}

/** Identity and state of one snapshot. */
export interface SnapshotRow {
  readonly snapshotId: number
  readonly repoId: number
  /** Its repo's name when it was listed: where listing and manifest are. The present name is in RepoRow. */
  readonly ref: RepoRef
  readonly hubId: HubId
  readonly commit: CommitId
  readonly state: SnapshotState
  /** Code of the reason when blocked. */
  readonly blockedBy: string | undefined
  readonly coverage: Coverage
  readonly hold: HoldReason
  readonly rank: number
  readonly listedAt: string
  readonly sealedAt: string | undefined
  readonly manifestRevision: number
  readonly filesListed: number
  readonly bytesListed: number
  readonly filesWanted: number
  readonly bytesWanted: number
  readonly filesHeld: number
  readonly bytesHeld: number
}

export interface RepoRow {
  readonly repoId: number
  readonly ref: RepoRef
  readonly hubId: HubId
  /** Key of what saw it last: a watch entry, which may be gone, or a pass over one repository. */
  readonly watch: string
  readonly upstream: UpstreamState
  readonly upstreamEvidence: unknown
  readonly license: LicenseFacts
  readonly head: CommitId | undefined
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
  readonly firstSeenAt: string
  readonly lastSeenAt: string
  readonly lastVerifiedAt: string | undefined
  readonly formats: readonly string[]
  readonly quants: readonly string[]
  /** The newest snapshot; undefined before the first listing. */
  readonly newest: SnapshotRow | undefined
  readonly snapshots: readonly SnapshotRow[]
}

/** Filters of `list`; all given ones must match. */
export interface RepoFilter {
  readonly format?: string
  readonly quant?: string
  /** Effective licence name, compared without case. */
  readonly license?: string
  readonly state?: SnapshotState
  readonly upstream?: UpstreamState
  /** Bytes the newest snapshot lists. */
  readonly largerBytes?: number
  readonly smallerBytes?: number
  /** Substring of `owner/name`, compared without case. */
  readonly text?: string
}

/** Events come oldest first: with `since` the first ones after it, without it the newest ones. */
export interface EventFilter {
  /** After this number. */
  readonly since?: number
  /** Up to this number, with it. */
  readonly until?: number
  readonly type?: string
  /** Any of these. */
  readonly types?: readonly string[]
  readonly repo?: RepoName
  readonly minSeverity?: string
  readonly limit: number
}

export interface CatalogTotals {
  readonly repos: number
  readonly snapshots: number
  readonly sealedSnapshots: number
  readonly filesListed: number
  readonly bytesListed: number
  readonly blobs: number
  /** Bytes of held blobs, each counted once. */
  readonly blobBytes: number
  readonly jobsReady: number
  readonly jobsHeld: number
  readonly jobsLeased: number
  readonly jobsFailed: number
  readonly bytesQueued: number
  /** ISO time of the oldest verification among held blobs. */
  readonly oldestVerifiedAt: string | undefined
  readonly lastSeq: number
}

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

export interface PlanRow {
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly path: string
  readonly size: number
  readonly reason: DecisionReason
  readonly detail: string
  readonly hold: HoldReason
}

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
