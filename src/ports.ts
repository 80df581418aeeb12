import type { CommitId, GitOid, Sha256 } from './domain/digest.ts'
import type { LoggedEvent } from './domain/events.ts'
import type { ExportPlan } from './domain/export-plan.ts'
import type { ContentKey, Listing, ListingHead, RefusedEntry, Sibling } from './domain/listing.ts'
import type { Manifest } from './domain/manifest.ts'
import type { HubRef } from './domain/ref-changes.ts'
import type { RepoFacts, RepoName, RepoRef, RepoType } from './domain/repo.ts'

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
  /** The answer with its last page. */
  readonly evidence: HttpEvidence
}

/** The Hub's direct answer about one repository. `missing` means missing, private or gone: they look the same. */
export type RepoAnswer =
  | { readonly kind: 'found'; readonly facts: RepoFacts; readonly evidence: HttpEvidence }
  | { readonly kind: 'moved'; readonly to: RepoRef; readonly evidence: HttpEvidence }
  | { readonly kind: 'disabled'; readonly evidence: HttpEvidence }
  | { readonly kind: 'missing'; readonly evidence: HttpEvidence }

/** What a claim about upstream rests on: no secrets, no signed links. */
export interface HttpEvidence {
  readonly status: number
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  /** The few that help to judge the answer later. */
  readonly headers: Readonly<Record<string, string>>
  readonly at: string
}

/** The whole tree of a commit, every page of it. */
export interface Tree {
  readonly files: readonly Sibling[]
  readonly refused: readonly RefusedEntry[]
}

/** Commits, newest first. */
export interface CommitLog {
  readonly commits: readonly CommitId[]
  /** False when there are older ones that were not read. */
  readonly isComplete: boolean
}

/** One file of one commit on the Hub. */
export interface HubFile {
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly path: string
}

/** Kinds of places that bytes come from. Each has its own way of asking; the proof of the bytes is the same for all. */
export type SourceOrigin = 'hub'

/** One place where a content is to be had: a file that lists it. */
export interface ContentSource extends HubFile {
  readonly origin: SourceOrigin
  /** The catalog's number of the repository. */
  readonly repoId: number
  /** How often it served other bytes for this content. */
  readonly faults: number
  /** It is not asked again before (milliseconds since 1970); 0 where nothing is held against it. */
  readonly notBeforeMs: number
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
  readonly end: number
  readonly totalSize: number
  /** Moves the whole body into the sink. Resolves only when exactly the promised bytes are there. @throws TRANSFER_* */
  into(sink: ByteSink, signal: AbortSignal): Promise<void>
  /**
   * Asks for another range of the same file before this one has come, on the same connection; undefined where that cannot
   * be. @throws as openRange
   */
  ahead(start: number, end: number, signal: AbortSignal): Promise<RangeBody> | undefined
  /** Identity-coded bytes. Ends normally only when exactly the promised number arrived; throws TRANSFER_* else. */
  chunks(): AsyncIterable<Uint8Array>
}

/** A hub of model repositories. Every method is bounded in time and memory, whatever upstream sends. */
export interface HubSource {
  /** Origin and path of the configured endpoint, for records. */
  readonly endpoint: string
  /** Whether we ask with a token: then `askRepo` can be asked without it, too. */
  readonly hasToken: boolean
  /**
   * Every repository of an owner, or an error: never a part of it.
   * @throws ArchiveError HUB_UNREACHABLE, HUB_RATE_LIMITED, HUB_ANSWER_INVALID, HUB_ANSWER_TOO_LARGE,
   *   HUB_REDIRECT_REFUSED, LISTING_INCOMPLETE, CREDENTIALS_INVALID
   */
  listOwner(owner: string, type: RepoType, signal: AbortSignal): Promise<OwnerListing>
  /** `as`: who asks; default with the token, if any. @throws as listOwner; a refusal of the repository itself is an answer, not an error */
  askRepo(ref: RepoRef, signal: AbortSignal, as?: { readonly anonymous: boolean }): Promise<RepoAnswer>
  /**
   * The newest commits from this one back, newest first.
   * @throws as readTree
   */
  readCommits(ref: RepoRef, from: CommitId, signal: AbortSignal): Promise<CommitLog>
  /** Branches and tags. @throws as readTree */
  readRefs(ref: RepoRef, signal: AbortSignal): Promise<readonly HubRef[]>
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
  /**
   * The whole of a small file into `into`, which is as long as the listing says: one request where the Hub answers
   * directly, retried for as long as it may pass in a moment.
   * @returns the content hash that the Hub names today (a SHA-256 or git blob id), if it names one
   * @throws as resolveFile and openRange; TRANSFER_INVALID when the file has another length
   */
  fetchSmall(file: HubFile, into: Uint8Array, signal: AbortSignal): Promise<{ readonly etag: string | undefined }>
  close(): Promise<void>
}

// ---------------------------------------------------------------- bytes on disk

export interface Digests {
  readonly sha256: Sha256
  /** Git blob id of the same bytes; undefined where nobody promises one: content that only LFS can hold. */
  readonly gitOid: GitOid | undefined
  readonly size: number
}

export interface WholeDigests extends Digests {
  readonly gitOid: GitOid
}

/** CRC-32 of each block of a blob, taken as the bytes arrived: finds damage fast and to the block. Proves nothing. */
export interface BlockChecks {
  readonly size: number
  /** Length of every block but the last. */
  readonly blockBytes: number
  readonly crcs: Uint32Array
}

/** Takes bytes in their order, in memory of its own, so that they are never copied. */
export interface ByteSink {
  /** Memory for the next bytes, never empty; undefined while there is none: then `room` says when. */
  view(): Uint8Array | undefined
  /** The first `count` bytes of the last view hold bytes. */
  filled(count: number): void
  /** Resolves when there is room. @throws what makes it pointless to go on: DISK_*, ARCHIVE_*; the signal's reason */
  room(signal: AbortSignal): Promise<void>
}

/** A run of missing bytes that one connection fetches. */
export interface PartialRange extends ByteSink {
  readonly start: number
  readonly end: number
  /** Where the next byte goes. */
  readonly position: number
  /** Ends the claim: what was filled is kept, the rest is missing again. Also when the range is whole. */
  release(): void
}

/** An unfinished download. Disposing it closes the file and keeps its bytes for a resume. */
export interface PartialFile extends AsyncDisposable {
  /** End of the unbroken run of bytes from the beginning. What came before a restart is proven by `finish` only. */
  readonly position: number
  /** Bytes that are there, wherever. */
  readonly heldBytes: number
  /** Ranges that may be filled at once: one where the disk wants its bytes in order. */
  readonly maxRanges: number
  /**
   * The first missing bytes that nobody has claimed, at most about `maxBytes`; undefined when there are none.
   * @throws DISK_FAILED
   */
  claim(maxBytes: number, signal: AbortSignal): Promise<PartialRange | undefined>
  /** Appends at `position`; not together with `claim`. @throws DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY */
  append(chunk: Uint8Array, signal: AbortSignal): Promise<void>
  /** Forgets everything: the next byte starts a new file. No range is claimed. */
  restart(): Promise<void>
  /**
   * fsync, then the digests of what is in the file. After a failed fsync the file is dead and removed.
   * @throws DISK_FULL, DISK_FAILED; PARTIAL_DAMAGED when bytes on disk are no longer what arrived: they are missing again,
   *   and only they have to be fetched
   */
  finish(signal: AbortSignal): Promise<Digests>
}

/** A held blob while it is read. Disposing it closes the file. */
export interface OpenBlob extends AsyncDisposable {
  readonly size: number
  /** Fills the buffer from this position on, or less; 0 at the end. @throws DISK_FAILED, ARCHIVE_MISSING_MARKER */
  read(buffer: Uint8Array, position: number): Promise<number>
}

/** What became of a small content. When it was not published, its bytes wait as a partial: they are not its key's. */
export interface StoredSmall {
  readonly digests: Digests
  readonly isPublished: boolean
}

/** Memory for one small content on its way to the disk. Disposing it gives the memory back. */
export interface SmallContent extends Disposable {
  /** To be filled whole before `store`. */
  readonly bytes: Uint8Array
  /**
   * Writes, fsyncs, reads back, hashes and publishes together with others that come at the same time.
   * @throws DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY, FIXITY_FAILED; nothing of it is published then
   */
  store(key: ContentKey): Promise<StoredSmall>
}

/** The way of small contents into the store. One at a time is open; disposing it waits for what is under way. */
export interface SmallIntake extends AsyncDisposable {
  /** Waits while all memory is in use. `size` is at most `SMALL_CONTENT_BYTES`. */
  take(size: number, signal: AbortSignal): Promise<SmallContent>
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

/** How a file came to have the bytes of a blob. `hardlink`: it is the blob, read-only. */
export type GiveMethod = 'reflink' | 'hardlink' | 'copy'

export interface ExportOptions {
  /** `auto`: reflink, else hard link, else copy; `never`: no hard links; `hard`: nothing but hard links. */
  readonly link: 'auto' | 'never' | 'hard' | 'reflink-or-hard'
  /** Re-hash every file as it is on the target disk, before any of it is shown. */
  readonly verify: boolean
  /** What becomes of a branch file that names another commit. */
  readonly refs: 'keep' | 'replace'
  /** Told of bytes as they are written or found, and of each file. */
  onFile(path: string, size: number): void
}

export interface ExportResult {
  /** The folder, absolute and without links. */
  readonly to: string
  /** Files that were made, and their bytes. */
  readonly made: number
  readonly madeBytes: number
  /** Files that were there already with the same bytes. */
  readonly same: number
  readonly methods: Readonly<Record<GiveMethod, number>>
  /** Files whose bytes were re-hashed and are right. */
  readonly verified: number
  /** Branch files that name another commit and were left alone. */
  readonly keptRefs: readonly { readonly path: string; readonly commit: string }[]
}

/**
 * Blobs by their SHA-256. A name appears only after the bytes, fsynced, were hashed to it, and is never overwritten.
 */
export interface BlobStore {
  /** Size of a held blob, undefined when it is not there. */
  sizeOf(sha256: Sha256): Promise<number | undefined>
  /** Opens or resumes the partial of these bytes. */
  openPartial(key: ContentKey, size: number, signal: AbortSignal): Promise<PartialFile>
  /** Opens the way of small contents. */
  openIntake(): SmallIntake
  /** Links a finished partial into place without replacing, fsyncs folders, removes the partial. Idempotent. */
  publish(key: ContentKey, digests: Digests, signal: AbortSignal): Promise<void>
  /** Moves a finished partial into quarantine with its note; never deletes. */
  quarantinePartial(key: ContentKey, note: QuarantineNote, signal: AbortSignal): Promise<void>
  /**
   * Moves what has a blob's name, and is not that blob any more, into quarantine with its note; never deletes. Returns
   * whether there was anything.
   */
  quarantineBlob(sha256: Sha256, note: QuarantineNote, signal: AbortSignal): Promise<boolean>
  /** Digests of a held blob, read from disk now. @throws FILE_UNKNOWN when it is not there; DISK_FAILED */
  digest(sha256: Sha256, signal: AbortSignal): Promise<Digests>
  /**
   * Opens a held blob for reading. One that is not the file it was when last proven (another inode, size or time of
   * change, or written after `provenAtMs`) is hashed again first, and refused when it has other bytes.
   * @throws FILE_UNKNOWN, FIXITY_FAILED, DISK_FAILED, ARCHIVE_MISSING_MARKER
   */
  open(sha256: Sha256, size: number, provenAtMs: number, signal: AbortSignal): Promise<OpenBlob>
  /** The block checks kept with a blob; undefined where there are none: small blobs, and those of other origin. */
  blockChecks(sha256: Sha256): Promise<BlockChecks | undefined>
  /**
   * Makes the plan's entries below a folder outside the archive: built aside, then given their names, links after what
   * they point to and branch files last. Never replaces anything: when something else has a name already, nothing at all
   * is made. What an interrupted call built is used again. Needs no lock: it only reads the archive.
   * @throws ArchiveError RESTORE_REFUSED, DISK_FULL, DISK_FAILED; FIXITY_FAILED, FILE_UNKNOWN for a blob that is not whole
   */
  exportFiles(to: string, plan: ExportPlan, options: ExportOptions, signal: AbortSignal): Promise<ExportResult>
  /** Digests of a file outside the archive, read now. Links are not followed. @throws FILE_UNKNOWN */
  digestFile(path: string, signal: AbortSignal): Promise<WholeDigests>
  /**
   * Publishes a file outside the archive as the blob it was found to be, after its bytes, as they are in the archive, were
   * hashed again. `hardlink` makes the file itself the blob and read-only. What cannot be shared is copied.
   * @returns what was done; `held` when the blob was there already
   * @throws FILE_UNKNOWN when the file changed meanwhile, DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY
   */
  takeIn(path: string, digests: Digests, method: GiveMethod, signal: AbortSignal): Promise<GiveMethod | 'held'>
  /** Every held blob with its size, in no order. */
  list(signal: AbortSignal): AsyncIterable<{ sha256: Sha256; size: number }>
  /** Removes an unfinished download that is not open and was not written since that time. Returns whether it did. */
  discardPartial(key: ContentKey, writtenBeforeMs: number): Promise<boolean>
  /** Size of every partial file. */
  partialSizes(): Promise<ReadonlyMap<ContentKey, number>>
  /** Bytes of what was set aside. */
  quarantineBytes(): Promise<number>
  /** Bytes free for us on the archive's disk. */
  freeBytes(): Promise<number>
  /** Keeps room in reserve for a full disk, where so much is free that nobody misses it. Returns whether it is there. */
  keepBallast(reserveBytes: number): Promise<boolean>
  /** Gives that room up. Returns whether there was any. */
  dropBallast(): Promise<boolean>
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
  /** The same without the files: they are checked, too, but not held. @throws RECORD_INVALID */
  readListingHead(name: RepoName, commit: CommitId): Promise<{ listing: ListingHead; sha256: Sha256 } | undefined>
  /** Writes `<commit>.sha256` and then the manifest, whose presence seals. Revision 2, 3, … for a wider selection. */
  writeManifest(manifest: Manifest, signal: AbortSignal): Promise<void>
  /** The manifest with the highest revision. @throws RECORD_INVALID */
  readManifest(name: RepoName, commit: CommitId): Promise<Manifest | undefined>
  /** Appends events to `events/<yyyy-mm>.jsonl`; events already there (by seq) are skipped. */
  appendEvents(events: readonly LoggedEvent[], signal: AbortSignal): Promise<void>
  /** Number of the newest event in the journal files; 0 when there is none. */
  lastEventSeq(): Promise<number>
  /** Names of every first listing, in no order. */
  listings(): AsyncIterable<{ readonly name: RepoName; readonly commit: CommitId }>
  /** Every event of the journal files, in the order of its number. What is no event is passed over. */
  journal(): AsyncIterable<LoggedEvent>
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
  /** This try ended before the file was whole; another source or another time may go on. */
  ended(file: HubFile): void
  finished(file: HubFile, size: number): void
  failed(file: HubFile, code: string, message: string): void
  sealed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void
  /** Events were logged, in order. */
  events(events: readonly LoggedEvent[]): void
  /** One file was re-hashed (verify), or otherwise gone through: `did` says what was done to it. */
  verified(path: string, bytes: number, did?: 'verified' | 'restored' | 'hashed'): void
  /** Work waits for a reason a person should know: quota, disk, window, an unreachable Hub. */
  waiting(reason: string, untilMs: number | undefined): void
}

/** A running service, asked over its local socket. */
export interface ServiceLink {
  /** @throws SERVICE_UNAVAILABLE when it does not answer within its deadline */
  request(operation: string, parameters: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<unknown>
}
