import type { CommitId, HubId } from './domain/digest.ts'
import type { ChangeEvent } from './domain/events.ts'
import type { HubRef } from './domain/ref-changes.ts'
import type { UpstreamState } from './domain/repo-state.ts'
import type { Gate, LicenseFacts, RepoFacts, RepoRef } from './domain/repo.ts'

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

/** State of one watch entry. */
export interface WatchState {
  readonly watch: string
  readonly lastPollAt: string | undefined
  readonly lastOkAt: string | undefined
  readonly lastErrorCode: string | undefined
  readonly lastErrorMessage: string | undefined
  readonly repos: number
}
