import type { DecisionReason, HoldReason } from './domain/decision.ts'
import type { CommitId, HubId, Sha256 } from './domain/digest.ts'
import type { Sibling } from './domain/listing.ts'
import type { Attestor, Coverage } from './domain/manifest.ts'
import type { UpstreamState } from './domain/repo-state.ts'
import type { LicenseFacts, RepoName, RepoRef } from './domain/repo.ts'

/** How far the archive is with a snapshot. */
export const SNAPSHOT_STATES = ['listed', 'fetching', 'sealed', 'blocked'] as const
export type SnapshotState = (typeof SNAPSHOT_STATES)[number]

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

/** One repository with its snapshots, as a person asks for it. */
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

/** The process that may write in an archive, as it said itself. */
export interface ArchiveWriter {
  readonly pid: number
  readonly host: string
  /** ISO time. */
  readonly startedAt: string
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

/** Sums over the whole archive. */
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
