import type { AlertOutbox } from './alert-port.ts'
import type { CatalogTotals, EventFilter, FileRow, RepoFilter, RepoRow, SnapshotRow } from './archive-rows.ts'
import type { AdoptedBlob, FileNameQuery, ListedContents, SeenFile, WhereListed } from './find-rows.ts'
import type { FileDecision } from './domain/decision.ts'
import type { CommitId, GitOid, HubId, Sha256 } from './domain/digest.ts'
import type { ChangeEvent, LoggedEvent } from './domain/events.ts'
import type { ContentKey, Sibling } from './domain/listing.ts'
import type { Coverage } from './domain/manifest.ts'
import type { HubRef } from './domain/ref-changes.ts'
import type { RepoName, RepoRef } from './domain/repo.ts'
import type { LicenseLedger } from './license-port.ts'
import type {
  DueRefs,
  KnownRepo,
  PollRecord,
  RefRecord,
  RepoActivity,
  TransitionRow,
  WatchState,
} from './watch-rows.ts'
import type {
  CardFacts,
  CompletedJob,
  DecidedSnapshot,
  FailedTry,
  Job,
  ListingRecord,
  NewDamage,
  PendingSnapshot,
  PlanRow,
  PlanTotals,
  QueueRow,
  RescueRow,
  RescueStart,
  ScheduleEntry,
  UndigestedHead,
  UnlistedHead,
} from './work-rows.ts'

/**
 * The index of the archive and its event log. Every method is one transaction; nothing here touches blobs or the
 * network. One process writes.
 */
export interface Catalog extends AsyncDisposable {
  readonly archiveId: string
  /** Delivery of alerts from the event log. */
  readonly outbox: AlertOutbox
  /** The licence of every commit. */
  readonly licenses: LicenseLedger

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
  /** The newest changes of a repository's state, oldest of them first. */
  transitions(repoId: number, limit: number): Promise<TransitionRow[]>
  /** When the repositories of a watch showed signs of life. */
  activityOf(watch: string): Promise<RepoActivity[]>
  /**
   * Repositories of a watch whose branches and tags are to be read: every one whose head moved since they were, or never
   * were, and at most `again` of those that were read before this ISO time, the oldest first.
   */
  dueRefs(options: { watch: string; before: string; now: string; again: number }): Promise<DueRefs[]>
  recordRefs(record: RefRecord): Promise<LoggedEvent[]>
  /** Branches and tags of a repository as they were read last; none before the first look. */
  refsOf(repoId: number): Promise<HubRef[]>

  // rescue
  /** Number of the last event that was looked at for what it endangers; 0 at first. */
  rescueCursor(): Promise<number>
  /** Puts repositories in front and asks for their old commits. Returns how many snapshots moved. */
  startRescues(start: RescueStart): Promise<number>
  noteRescue(repoId: number, progress: { tried: number; found: number; doneAt: string | undefined }): Promise<void>
  /** Those that are not done first, then the newest. */
  rescues(filter: { pendingOnly: boolean; limit: number }): Promise<RescueRow[]>

  // plan
  unlistedHeads(watch: string | undefined): Promise<UnlistedHead[]>
  /** Listed heads with withheld digests whose tree was read before this ISO time, or whose gate changed since. */
  undigestedHeads(watch: string | undefined, read: { before: string; now: string }): Promise<UndigestedHead[]>
  /** Adds digests that were withheld at first; `files` is the whole tree as read at this ISO time. */
  addDigests(snapshotId: number, files: readonly Sibling[], at: string): Promise<void>
  /** The card facts of the last poll, for the listing of its head. */
  cardOf(repoId: number): Promise<CardFacts>
  /**
   * A commit that is there already is left as it is. Small files may be leased at once; large ones wait (hold 'budget')
   * until applySchedule admits their snapshot.
   */
  recordListing(record: ListingRecord): Promise<{ snapshotId: number; events: LoggedEvent[] }>
  /** Every pending snapshot, and the newest one of every repo. */
  decidedSnapshots(): Promise<DecidedSnapshot[]>
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
  /** Lets snapshots that were blocked with one of these codes be tried again. */
  unblockSnapshots(codes: readonly string[]): Promise<void>
  /** Without those under hold 'unwatched'. */
  pendingSnapshots(): Promise<PendingSnapshot[]>
  /** Bytes of small contents that may be fetched and never failed, none of them larger than `maxSize`. */
  smallBytesToFetch(maxSize: number): Promise<number>
  /** Those of these contents that no pending snapshot wants. */
  unwantedKeys(keys: readonly ContentKey[]): Promise<ContentKey[]>
  applySchedule(entries: readonly ScheduleEntry[]): Promise<void>
  /** By which settings it was last scheduled, as a text that only equality is asked of; undefined when never. */
  scheduleBasis(): Promise<string | undefined>
  setScheduleBasis(basis: string): Promise<void>

  // run jobs
  /**
   * Takes the next due job that fits: small files first, then by rank. undefined when none is. It stays leased until it
   * is completed, failed or released.
   * @param options.maxBytes no larger job is taken; default: any size
   * @param options.maxBytesOf another limit for these contents, of which some bytes are there already
   * @param options.largerThan contents of this size and smaller are left to `leaseJobs`
   */
  leaseJob(options: {
    nowMs: number
    smallOnly: boolean
    repos?: readonly number[]
    maxBytes?: number
    maxBytesOf?: ReadonlyMap<ContentKey, number>
    largerThan?: number
  }): Promise<Job | undefined>
  /** The same for many contents of at most `maxSize` at once, as many of them as have `maxTotalBytes` together. */
  leaseJobs(options: {
    nowMs: number
    smallOnly: boolean
    repos?: readonly number[]
    maxSize: number
    maxTotalBytes: number
    limit: number
  }): Promise<Job[]>
  /**
   * Makes waiting jobs due now (a human asked), except those whose bytes arrived wrong: these keep their pause.
   * `repos` restricts it to jobs wanted by those repos.
   */
  makeDue(repos?: readonly number[]): Promise<void>
  /** Earliest time a waiting job becomes due. */
  nextDueMs(repos?: readonly number[]): Promise<number | undefined>
  /**
   * Bytes are published: blob rows, held files, aggregates; the jobs go. A blob that was damaged is repaired now, with an
   * event. Returns snapshots now complete, and the events.
   */
  completeJobs(
    done: readonly CompletedJob[],
    at: string,
  ): Promise<{ readonly complete: number[]; readonly events: LoggedEvent[] }>
  /**
   * Lets a job wait until its next try. A commit that was unknown three times running (SNAPSHOT_UNKNOWN) is gone: the
   * snapshot is blocked with that code, if it alone wants these bytes.
   */
  failJob(jobId: number, failure: FailedTry, events: readonly ChangeEvent[]): Promise<LoggedEvent[]>
  /** A source served other bytes for this content: it is asked last from now on, and not before that time. */
  demoteSource(
    key: ContentKey,
    repoId: number,
    notBeforeMs: number,
    events: readonly ChangeEvent[],
  ): Promise<LoggedEvent[]>
  /** Gives leased jobs back untouched (shutdown, disk full). */
  releaseJobs(jobIds: readonly number[]): Promise<void>
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
  /**
   * Blobs that are not what they were: whatever holds them wants them again, and their events are logged. What was noted
   * before and not repaired since is no news and changes nothing.
   */
  recordDamage(damage: readonly NewDamage[], at: string): Promise<LoggedEvent[]>
  recordVerified(sha256s: readonly Sha256[], at: string): Promise<void>

  // find and adopt
  listedContents(): Promise<ListedContents>
  /** Files of any listing with this content. A SHA-256 alone does not find small files that are not held. */
  whereListed(
    content: { sha256: Sha256 | undefined; gitOid: GitOid | undefined },
    limit: number,
  ): Promise<WhereListed[]>
  /** Files of any listing whose path, or the last part of it, fits the pattern. */
  whereNamed(query: FileNameQuery, limit: number): Promise<WhereListed[]>
  /** Whether the catalog knows that these bytes are held. */
  holdsBlob(sha256: Sha256): Promise<boolean>
  /** What a file had for digests when it was last hashed, if it is still the same. A hint, to be proven before use. */
  digestsOfSeen(file: SeenFile): Promise<{ sha256: Sha256; gitOid: GitOid } | undefined>
  /** Remembers files that were hashed. */
  noteSeen(
    files: readonly { readonly seen: SeenFile; readonly sha256: Sha256; readonly gitOid: GitOid }[],
  ): Promise<void>
  /**
   * Bytes are published that no job asked for: every listed file with this content is held, wanted or not; jobs for it
   * go. Returns how many files of how many snapshots are held now that were not, and events of repaired damage.
   */
  adoptBlobs(
    blobs: readonly AdoptedBlob[],
    at: string,
  ): Promise<{ readonly files: number; readonly snapshots: number; readonly events: LoggedEvent[] }>

  // queue control
  setPaused(paused: boolean): Promise<void>
  isPaused(): Promise<boolean>
  /** Puts a repo's snapshots in front. Returns how many snapshots moved. */
  bump(repoId: number): Promise<number>

  // event journal
  /** A log without events (a new catalog of an old archive) goes on after this number; else nothing happens. */
  continueEventsAfter(seq: number): Promise<void>
  /** Events with their own numbers, in order; those up to the newest in the log are skipped. Returns how many came in. */
  importEvents(events: readonly LoggedEvent[]): Promise<number>
  eventsNotExported(limit: number): Promise<LoggedEvent[]>
  markExported(seq: number): Promise<void>

  // reading
  /** The first of `reposNamed`: what a name means to a person. */
  repoRow(ref: RepoRef): Promise<RepoRow | undefined>
  repoRowById(repoId: number): Promise<RepoRow | undefined>
  /**
   * Every repo that has the name (without case) or had it, with its snapshots. The first one that was archived under it
   * comes first, also after another `_id` took the name: what a stranger uploads must not take an archive's place. Then
   * the one that has the name now, then the others.
   */
  reposNamed(ref: RepoRef): Promise<RepoRow[]>
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
  /** The job that brings a file, however far back in the queue it is; undefined when none does. */
  jobOfFile(snapshotId: number, path: string): Promise<QueueRow | undefined>
  queue(page: { limit: number }): Promise<QueueRow[]>
  /** In order of seq. With `since`: the first `limit` after it; without: the newest `limit`. */
  events(filter: EventFilter): Promise<LoggedEvent[]>
  totals(): Promise<CatalogTotals>
  /** Writes the log back into the database file; called when idle and at the end. */
  checkpoint(): Promise<void>
}
