import type { CommitId } from './domain/digest.ts'
import type { RefusedEntry, Sibling } from './domain/listing.ts'
import type { HubRef } from './domain/ref-changes.ts'
import type { RepoFacts, RepoRef, RepoType } from './domain/repo.ts'
import type { ByteSink } from './intake-port.ts'

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
