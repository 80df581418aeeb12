import type { CommitId, GitOid, HubId, Sha256 } from './domain/digest.ts'
import type { DecisionReason, FileDecision, HoldReason } from './domain/decision.ts'
import type { ChangeEvent, LoggedEvent } from './domain/events.ts'
import type { ContentKey, Listing, RefusedEntry, Sibling } from './domain/listing.ts'
import type { Attestor, Coverage, Manifest } from './domain/manifest.ts'
import type { Gate, LicenseFacts, RepoFacts, RepoName, RepoRef, RepoType } from './domain/repo.ts'
import type { Settings } from './domain/settings.ts'
import type { WitnessBook } from './domain/witness.ts'

/** The only source of time. Waiting always ends early, with the signal's reason, when the signal aborts. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Structured log: constant past-tense message, everything else in fields. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

// ---------------------------------------------------------------- the Hub

/** A complete listing of one owner: nothing was skipped. Rows that could not be believed are named, never dropped. */
export interface OwnerListing {
  readonly repos: readonly RepoFacts[]
  readonly refused: readonly { readonly name: string; readonly reason: string }[]
}

/** The Hub's direct answer about one repository. `missing` means missing, private or gone: they look the same. */
export type RepoAnswer =
  | { readonly kind: 'found'; readonly facts: RepoFacts }
  | { readonly kind: 'moved'; readonly to: RepoRef }
  | { readonly kind: 'disabled' }
  | { readonly kind: 'missing'; readonly evidence: HttpEvidence }

/** What a claim about upstream rests on: no secrets, no signed links. */
export interface HttpEvidence {
  readonly status: number
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  readonly at: string
}

/** The whole tree of a commit, every page of it. */
export interface Tree {
  readonly files: readonly Sibling[]
  readonly refused: readonly RefusedEntry[]
}

/** One file of one commit on the Hub. */
export interface HubFile {
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly path: string
}

/** Where a file's bytes are to be had right now. May expire: then `openRange` throws LINK_EXPIRED. */
export interface ResolvedFile {
  readonly file: HubFile
  /** Never logged: may be signed. */
  readonly url: string
  /** The Hub's ETag of the content: a SHA-256 (LFS) or git blob id, unquoted; undefined where it sent none. */
  readonly etag: string | undefined
  /** `X-Linked-Size`, or the Content-Length of a direct answer; undefined where neither is known. */
  readonly size: number | undefined
}

/** An open answer to a range request, checked: it starts at `start`, and the file has `totalSize` bytes. */
export interface RangeBody extends AsyncDisposable {
  /** 0 when the server ignored the range and sent the whole file. */
  readonly start: number
  readonly totalSize: number
  /** Identity-coded bytes. Ends normally only when exactly the promised number arrived; throws TRANSFER_* else. */
  chunks(): AsyncIterable<Uint8Array>
}

/** A hub of model repositories. Every method is bounded in time and memory, whatever upstream sends. */
export interface HubSource {
  /** Origin and path of the configured endpoint, for records. */
  readonly endpoint: string
  /**
   * Every repository of an owner, or an error: never a part of it.
   * @throws ArchiveError HUB_UNREACHABLE, HUB_RATE_LIMITED, HUB_ANSWER_INVALID, HUB_ANSWER_TOO_LARGE,
   *   HUB_REDIRECT_REFUSED, LISTING_INCOMPLETE, CREDENTIALS_INVALID
   */
  listOwner(owner: string, type: RepoType, signal: AbortSignal): Promise<OwnerListing>
  /** @throws as listOwner; a refusal of the repository itself is an answer, not an error */
  askRepo(ref: RepoRef, signal: AbortSignal): Promise<RepoAnswer>
  /** @throws as listOwner; REPO_UNAVAILABLE, REPO_GATED, REPO_DISABLED, SNAPSHOT_UNKNOWN */
  readTree(ref: RepoRef, commit: CommitId, signal: AbortSignal): Promise<Tree>
  /**
   * Follows the Hub's redirect by hand and reads the metadata of the first hop.
   * @throws REPO_GATED, REPO_DISABLED, REPO_UNAVAILABLE, FILE_UNAVAILABLE, HUB_ANSWER_INVALID (another commit), …
   */
  resolveFile(file: HubFile, signal: AbortSignal): Promise<ResolvedFile>
  /**
   * Opens bytes `[start, end)`. A 206 counts only with exact unit, start, end and total.
   * @throws LINK_EXPIRED, FILE_UNAVAILABLE, TRANSFER_INTERRUPTED, TRANSFER_STALLED, TRANSFER_INVALID
   */
  openRange(resolved: ResolvedFile, start: number, end: number, signal: AbortSignal): Promise<RangeBody>
  close(): Promise<void>
}

// ---------------------------------------------------------------- bytes on disk

export interface Digests {
  readonly sha256: Sha256
  /** Git blob id of the same bytes. */
  readonly gitOid: GitOid
  readonly size: number
}

/** An unfinished download. Disposing it closes the file and keeps its bytes for a resume. */
export interface PartialFile extends AsyncDisposable {
  /** Bytes that are in the file and, after a restart, were re-hashed against the piece digests taken on arrival. */
  readonly position: number
  /** Appends. @throws DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY */
  append(chunk: Uint8Array, signal: AbortSignal): Promise<void>
  /** Forgets everything: the next append starts a new file at 0. */
  restart(): Promise<void>
  /**
   * fsync, then the digests of what is in the file, read back. After a failed fsync the file is dead and removed.
   * @throws DISK_FULL, DISK_FAILED
   */
  finish(signal: AbortSignal): Promise<Digests>
}

/** Why bytes were set aside; written beside them. */
export interface QuarantineNote {
  readonly reason: string
  readonly at: string
  readonly repo: string | undefined
  readonly commit: string | undefined
  readonly path: string | undefined
  readonly expected: string | undefined
  readonly actual: string
  readonly size: number
}

/**
 * Blobs by their SHA-256. A name appears only after the bytes, fsynced, were hashed to it, and is never overwritten.
 */
export interface BlobStore {
  /** Size of a held blob, undefined when it is not there. */
  sizeOf(sha256: Sha256): Promise<number | undefined>
  /** Opens or resumes the partial of these bytes. `pieceBytes` is the unit of resume. */
  openPartial(key: ContentKey, size: number, signal: AbortSignal): Promise<PartialFile>
  /** Links a finished partial into place without replacing, fsyncs folders, removes the partial. Idempotent. */
  publish(key: ContentKey, digests: Digests, signal: AbortSignal): Promise<void>
  /** Moves a finished partial into quarantine with its note; never deletes. */
  quarantinePartial(key: ContentKey, note: QuarantineNote, signal: AbortSignal): Promise<void>
  /** Digests of a held blob, read from disk now. @throws FILE_UNKNOWN when it is not there; DISK_FAILED */
  digest(sha256: Sha256, signal: AbortSignal): Promise<Digests>
  /** Every held blob with its size, in no order. */
  list(signal: AbortSignal): AsyncIterable<{ sha256: Sha256; size: number }>
  /** Bytes in partial files. */
  partialBytes(): Promise<number>
  /** Bytes free for us on the archive's disk. */
  freeBytes(): Promise<number>
  /** Throws ARCHIVE_MISSING_MARKER when the archive's disk is not the one that was opened. */
  assertMounted(): Promise<void>
}

/** Listings, manifests and the event journal: JSON files that outlive the catalog. */
export interface RecordStore {
  /**
   * Writes once. The same promise again is a no-op ('same'); another promise for the same commit is kept beside the
   * first under a name of its own ('conflict').
   */
  writeListing(listing: Listing, signal: AbortSignal): Promise<'written' | 'same' | 'conflict'>
  /** The first listing of a commit with the SHA-256 of its file; undefined when there is none. @throws RECORD_INVALID */
  readListing(name: RepoName, commit: CommitId): Promise<{ listing: Listing; sha256: Sha256 } | undefined>
  /** Writes `<commit>.sha256` and then the manifest, whose presence seals. Revision 2, 3, … for a wider selection. */
  writeManifest(manifest: Manifest, signal: AbortSignal): Promise<void>
  /** The manifest with the highest revision. @throws RECORD_INVALID */
  readManifest(name: RepoName, commit: CommitId): Promise<Manifest | undefined>
  /** Appends events to `events/<yyyy-mm>.jsonl`; events already there (by seq) are skipped. */
  appendEvents(events: readonly LoggedEvent[], signal: AbortSignal): Promise<void>
}

// ---------------------------------------------------------------- the catalog

export const UPSTREAM_STATES = ['ok', 'gated', 'disabled', 'unavailable', 'renamed', 'recreated', 'unknown'] as const
export type UpstreamState = (typeof UPSTREAM_STATES)[number]

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
  readonly changed: readonly { readonly facts: RepoFacts; readonly upstream: UpstreamState }[]
  /** Repositories seen unchanged: only their last-seen time moves and misses are forgotten. */
  readonly unchanged: readonly number[]
  /** Repositories of this watch that the listing lacked. */
  readonly missing: readonly { readonly repoId: number; readonly misses: number; readonly firstMissAt: string }[]
  /** New upstream states found by asking directly. */
  readonly states: readonly {
    readonly repoId: number
    readonly upstream: UpstreamState
    readonly evidence: unknown
  }[]
  readonly events: readonly ChangeEvent[]
  /** Whether this is the first complete poll of the watch: its repos are the backlog, not new releases. */
  readonly isFirst: boolean
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
  readonly isBumped: boolean
  readonly upstream: UpstreamState
  /** Missing wanted bytes of large files; a file shared with another snapshot counts in each. */
  readonly missingLargeBytes: number
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
  /** Where the bytes can be asked for: repositories and commits that list them, best first. At most 10. */
  readonly sources: readonly HubFile[]
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
  readonly since?: number
  readonly type?: string
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

/**
 * The index of the archive and its event log. Every method is one transaction; nothing here touches blobs or the
 * network. One process writes.
 */
export interface Catalog extends AsyncDisposable {
  readonly archiveId: string

  // watch
  watchState(watch: string): Promise<WatchState | undefined>
  watchStates(): Promise<WatchState[]>
  reposOfWatch(watch: string): Promise<KnownRepo[]>
  repoByName(ref: RepoRef): Promise<KnownRepo | undefined>
  repoByHubId(hubId: HubId): Promise<KnownRepo | undefined>
  /** Repos, cursor and events in one transaction. Returns the events with their numbers. */
  recordPoll(record: PollRecord): Promise<LoggedEvent[]>
  recordPollFailure(
    watch: string,
    at: string,
    code: string,
    message: string,
    events: readonly ChangeEvent[],
  ): Promise<LoggedEvent[]>
  appendEvents(events: readonly ChangeEvent[]): Promise<LoggedEvent[]>

  // plan
  unlistedHeads(watch: string | undefined): Promise<UnlistedHead[]>
  /** The card facts of the last poll, for the listing of its head. */
  cardOf(repoId: number): Promise<CardFacts>
  /**
   * A commit that is there already is left as it is. Small files may be leased at once; large ones wait (hold 'budget')
   * until applySchedule admits their snapshot.
   */
  recordListing(record: ListingRecord): Promise<{ snapshotId: number; events: LoggedEvent[] }>
  /** Head snapshots that another policy decided: `policyKeys` maps watch → current key. */
  snapshotsDecidedBefore(policyKey: string, watch: string): Promise<SnapshotRow[]>
  /**
   * Replaces the decisions of a snapshot; files taken before stay held. Reopens a sealed snapshot that wants more; its
   * new large files wait for applySchedule.
   */
  redecide(
    snapshotId: number,
    decisions: readonly FileDecision[],
    policyKey: string,
    isSmall: (file: Sibling) => boolean,
  ): Promise<void>
  /** Never to be sealed. What it wants is fetched all the same: each file proves itself. */
  blockSnapshot(snapshotId: number, code: string): Promise<void>
  pendingSnapshots(): Promise<PendingSnapshot[]>
  applySchedule(entries: readonly ScheduleEntry[]): Promise<void>

  // run jobs
  /** Takes the next due job: small files first, then by rank. undefined when none is due. */
  leaseJob(options: {
    nowMs: number
    leaseMs: number
    smallOnly: boolean
    repos?: readonly number[]
  }): Promise<Job | undefined>
  /**
   * Makes waiting jobs due now (a human asked), except those whose bytes arrived wrong: these keep their pause.
   * `repos` restricts it to jobs wanted by those repos.
   */
  makeDue(repos?: readonly number[]): Promise<void>
  /** Earliest time a waiting job becomes due. */
  nextDueMs(repos?: readonly number[]): Promise<number | undefined>
  /** Bytes are published: blob row, held files, aggregates; the job goes. Returns snapshots now complete. */
  completeJob(jobId: number, digests: Digests, attestedBy: readonly Attestor[], at: string): Promise<number[]>
  failJob(jobId: number, code: string, nextTryMs: number, events: readonly ChangeEvent[]): Promise<LoggedEvent[]>
  /** Gives a leased job back untouched (shutdown, disk full). */
  releaseJob(jobId: number): Promise<void>
  /** At start: leases of a process that is gone. */
  releaseAllLeases(): Promise<number>

  // seal
  /** Snapshots whose wanted files are all held and that have no manifest for this selection. */
  sealable(): Promise<SnapshotRow[]>
  recordSealed(
    snapshotId: number,
    manifestRevision: number,
    coverage: Coverage,
    sealedAt: string,
    events: readonly ChangeEvent[],
  ): Promise<LoggedEvent[]>

  // verify
  recordVerified(sha256s: readonly Sha256[], at: string): Promise<void>

  // queue control
  setPaused(paused: boolean): Promise<void>
  isPaused(): Promise<boolean>
  /** Puts a repo's snapshots in front. Returns how many snapshots moved. */
  bump(repoId: number): Promise<number>

  // event journal
  eventsNotExported(limit: number): Promise<LoggedEvent[]>
  markExported(seq: number): Promise<void>

  // reading
  repoRow(ref: RepoRef): Promise<RepoRow | undefined>
  /**
   * A page ordered by name (without case), after `after`. It never ends between repos of one name, so it may be a little
   * longer than `limit`. `withSnapshots` also loads every snapshot of each repo, newest first.
   */
  listRepos(
    filter: RepoFilter,
    page: { after: RepoName | undefined; limit: number; withSnapshots: boolean },
  ): Promise<RepoRow[]>
  snapshot(repoId: number, commit: CommitId): Promise<SnapshotRow | undefined>
  /** Snapshots of a repo whose commit starts with the (at least 7) hex digits. */
  snapshotsByPrefix(repoId: number, prefix: string): Promise<SnapshotRow[]>
  /** A page of files in path order. */
  files(snapshotId: number, page: { after: string | undefined; limit: number }): Promise<FileRow[]>
  file(snapshotId: number, path: string): Promise<FileRow | undefined>
  /**
   * In schedule order: with `taken` the wanted files that pending snapshots miss, else the files that the policy leaves
   * of every repo's newest snapshot.
   */
  planRows(page: {
    after: string | undefined
    limit: number
    taken: boolean
  }): Promise<{ rows: PlanRow[]; next: string | undefined }>
  planTotals(): Promise<PlanTotals>
  queue(page: { limit: number }): Promise<QueueRow[]>
  /** In order of seq. With `since`: the first `limit` after it; without: the newest `limit`. */
  events(filter: EventFilter): Promise<LoggedEvent[]>
  totals(): Promise<CatalogTotals>
  /** Writes the log back into the database file; called when idle and at the end. */
  checkpoint(): Promise<void>
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

// ---------------------------------------------------------------- an opened archive

/** What long work tells whoever watches. Every method is cheap and never throws. */
export interface Progress {
  /** One watch was polled completely. */
  polled(watch: string, repos: number, changed: number): void
  /** The listing of a commit was stored. */
  listed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void
  /** Everything still to fetch is known (again): bytes and files not yet held and allowed to move. */
  total(files: number, bytes: number): void
  started(file: HubFile, size: number, resumedAt: number): void
  /** `bytes` more of this file are on disk. */
  moved(file: HubFile, bytes: number): void
  finished(file: HubFile, size: number): void
  failed(file: HubFile, code: string, message: string): void
  sealed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void
  /** Events were logged, in order. */
  events(events: readonly LoggedEvent[]): void
  /** One held file was re-hashed (verify). */
  verified(path: string, bytes: number): void
  /** Work waits for a reason a person should know: quota, disk, window, an unreachable Hub. */
  waiting(reason: string, untilMs: number | undefined): void
}

/** A running service, asked over its local socket. */
export interface ServiceLink {
  /** @throws SERVICE_UNAVAILABLE when it does not answer within its deadline */
  request(operation: string, parameters: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<unknown>
}

/** Everything a command or the service works with, opened by `compose.ts` and closed in reverse. */
export interface OpenedArchive extends AsyncDisposable {
  /** Absolute path of the archive folder. */
  readonly root: string
  readonly settings: Settings
  readonly catalog: Catalog
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly hub: HubSource
  readonly witness: WitnessBook
  readonly clock: Clock
  readonly log: Log
  /** False when it was opened for reading only (another process writes). */
  readonly writable: boolean
  /** The running service of this archive, when there is one. */
  readonly service: ServiceLink | undefined
}

/** Result of one pass, the shape of `sync --json`. */
export interface PassResult {
  readonly polled: number
  readonly newEvents: number
  readonly fetchedFiles: number
  readonly fetchedBytes: number
  readonly sealed: readonly { readonly repo: string; readonly commit: CommitId }[]
  readonly failed: readonly {
    readonly repo: string
    readonly path: string
    readonly code: string
    readonly message: string
  }[]
  /** What kept wanted files from being fetched. */
  readonly stoppedBy: 'budget' | 'reserve' | 'window' | 'paused' | undefined
  /** Heads that were new or moved. */
  readonly changes: number
}

/** Result of `verify`. */
export interface VerifyResult {
  readonly checkedFiles: number
  readonly checkedBytes: number
  readonly ok: boolean
  readonly corrupt: readonly { readonly repo: string; readonly path: string; readonly sha256: Sha256 }[]
  readonly missing: readonly { readonly repo: string; readonly path: string; readonly sha256: Sha256 }[]
  /** Held files whose SHA-256 a witness contradicts. */
  readonly contradicted: readonly {
    readonly repo: string
    readonly path: string
    readonly sha256: Sha256
    readonly witness: Sha256
    readonly source: string
  }[]
}
