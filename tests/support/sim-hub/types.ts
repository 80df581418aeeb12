/**
 * The programming interface of the simulated Hub: what a test, the demo or a benchmark may say to it. Everything it
 * does is a function of the seed and of the calls made here.
 */
import type { Content } from '../content/content.ts'
import type { Faults } from './fault-types.ts'

export type RepoType = 'model' | 'dataset' | 'space'

/** One file of a repo as a test describes it. */
export interface FileSpec {
  /** Any string at all: hostile names are served as they are. */
  path: string
  /** A string is stored as UTF-8. */
  content: string | Uint8Array | Content
  /** Default: not empty and (10 MiB or more, or a weight extension, or tokenizer.json). */
  lfs?: boolean | undefined
  /** SHA-256 of `content` when it is known already; saves hashing huge content, and is trusted. */
  sha256?: string | undefined
  /** Merged over the tree entry (and paths-info): hostile sizes and oids. `undefined` removes a key, a bigint is written as digits. */
  treeOverride?: Record<string, unknown> | undefined
}

export interface RepoSpec {
  /** Default `model`. */
  type?: RepoType | undefined
  /** ISO time; default: derived from the order of creation, not from the clock. */
  createdAt?: string | undefined
  /** ISO date of the first commit; default `createdAt`. */
  date?: string | undefined
  title?: string | undefined
  /**
   * `cardData`. Without it, the YAML front matter of README.md is used. With it and without a README.md in `files`, a
   * README.md holding it as front matter is added: on the Hub the card *is* that file.
   */
  card?: Record<string, unknown> | undefined
  /** Added in front of the tags that follow from card and files. */
  tags?: string[] | undefined
  files: FileSpec[]
  gated?: false | 'auto' | 'manual' | undefined
  private?: boolean | undefined
  /** User name of the commits; default: the owner. */
  author?: string | undefined
  /** Merged over the fields of list and info answers: downloads, likes, gguf, safetensors … */
  extra?: Record<string, unknown> | undefined
}

export interface CommitChange {
  title?: string | undefined
  /** ISO; default: one hour after the parent. */
  date?: string | undefined
  set?: FileSpec[] | undefined
  remove?: string[] | undefined
  /** New `cardData`; rewrites README.md unless `set` holds one. */
  card?: Record<string, unknown> | undefined
  /** Default `main`. A branch that does not exist starts at main. */
  branch?: string | undefined
  /** Empty message body by default. */
  message?: string | undefined
}

/** A repo as it stands now. */
export interface RepoView {
  readonly type: RepoType
  readonly id: string
  /** The permanent `_id`: 24 hex digits. */
  readonly hubId: string
  /** Commit of `main`. */
  readonly head: string
  /** Commits of `main`, newest first. */
  readonly commits: readonly string[]
  readonly branches: ReadonlyMap<string, string>
  readonly tags: ReadonlyMap<string, string>
  readonly gated: false | 'auto' | 'manual'
  readonly private: boolean
  readonly disabled: false | 'info-200' | 'info-403'
  /** Paths at `head`, in listing order. */
  readonly paths: readonly string[]
}

/** The truth about one file, for assertions. */
export interface FileFacts {
  readonly path: string
  readonly size: number
  readonly isLfs: boolean
  readonly sha256: string
  /** What the tree gives as `oid`: blob id of the bytes, or of the pointer of an LFS file. */
  readonly gitOid: string
  /** Only of an LFS file. */
  readonly xetHash: string | undefined
  readonly content: Content
}

export interface DiscussionSpec {
  title: string
  isPullRequest?: boolean | undefined
  status?: 'open' | 'closed' | 'merged' | 'draft' | undefined
  author?: string | undefined
  createdAt?: string | undefined
}

export interface CollectionSpec {
  owner: string
  title: string
  items: string[]
  lastUpdated?: string | undefined
}

/**
 * What the Hub holds. Ids are `owner/name`; write `datasets/owner/name` or `spaces/owner/name` where a model of the
 * same name exists. Every function throws on an unknown repo: a mistake in a test must not look like an answer.
 */
export interface World {
  /** @returns the head commit */
  addRepo(id: string, spec: RepoSpec): string
  /** @returns the new commit */
  commit(id: string, change: CommitChange): string
  repo(id: string): RepoView
  /** Hashes the content when nobody has yet. `revision` defaults to main. */
  file(id: string, path: string, revision?: string): Promise<FileFacts>
  setGated(id: string, value: false | 'auto' | 'manual'): void
  setPrivate(id: string, value: boolean): void
  setDisabled(id: string, value: false | 'info-200' | 'info-403'): void
  deleteRepo(id: string): void
  /** Deletes and makes it again under the same name with a new `_id`. @returns the head commit */
  recreateRepo(id: string, spec: RepoSpec): string
  /** The old name answers 307 from now on. */
  rename(id: string, newId: string): void
  hideFromListing(id: string, hidden: boolean): void
  /** The repo answers like a missing one while listings still show it. */
  hideFromInfo(id: string, hidden: boolean): void
  /** One new commit with the same files replaces main; the old ids stop resolving. @returns the new commit */
  superSquash(id: string): string
  /** Points a branch (made if needed) at a commit; commits left behind still resolve by id. */
  moveBranch(id: string, branch: string, commit: string): void
  /** Not `main`. Its commits still resolve by id. */
  deleteBranch(id: string, branch: string): void
  /** `undefined` deletes the tag. */
  setTag(id: string, tag: string, commit: string | undefined): void
  /** The commit id no longer resolves (404 RevisionNotFound). */
  forgetCommit(id: string, commit: string): void
  /** The CDN answers 404 for this LFS file while the tree still lists it. */
  purgeLfs(id: string, path: string): void
  /** Opens `refs/pr/N` on top of main. */
  addPullRequest(id: string, change: CommitChange): { num: number; commit: string }
  addDiscussion(id: string, spec: DiscussionSpec): number
  /** @returns the slug */
  addCollection(spec: CollectionSpec): string
  /** Owners that were never named are organisations. */
  addOwner(name: string, kind: 'org' | 'user'): void
  /** Makes the overview disagree with the listing; `undefined` tells the truth again. */
  setNumModels(owner: string, count: number | undefined): void
}

export interface Quotas {
  /** Per caller and window; default 500 anonymous, 1000 with a token. */
  api?: number | undefined
  /** Default 3000 anonymous, 5000 with a token. */
  resolvers?: number | undefined
  /** Default 300. */
  windowSeconds?: number | undefined
}

export interface SimHubOptions {
  /** Default 1. */
  seed?: number | undefined
  quotas?: Quotas | undefined
  /** Life of a signed CDN link; default 3600. */
  linkLifeSeconds?: number | undefined
  /** Entries of one tree page; default 1000 (100 with `expand`). */
  treePageSize?: number | undefined
  /** Largest `limit` a listing honours; default 1000. */
  listPageSizeMax?: number | undefined
  /** Milliseconds since 1970 for quota windows, link life and the Date header. */
  now?: (() => number) | undefined
  /** Valid tokens (`hf_…`). `grants` are repo ids it may read although gated or private. Any other token is a bad one. */
  tokens?: Record<string, { user: string; grants?: string[] | undefined }> | undefined
  /** Sizes of single socket writes; default 1 to 65536, log-uniform. `large`: 1 MiB, for benchmarks. */
  pieceBytes?: { min: number; max: number } | 'large' | undefined
  /** `numModels` of an owner's overview. */
  numModelsOverride?: Record<string, number> | undefined
}

export interface SeenRequest {
  readonly origin: 'hub' | 'cdn'
  readonly method: string
  /** Request target as sent, with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The quota it was charged to. */
  readonly bucket: 'api' | 'resolvers' | 'pages' | undefined
  /** 0 while no status line has been sent (a stall, a raw reply, a reset). */
  readonly status: number
  /** The Host header did not name this server: answered 421. */
  readonly foreignHost: boolean
}

export interface SimHub extends AsyncDisposable {
  readonly url: string
  readonly cdnUrl: string
  readonly world: World
  readonly faults: Faults
  readonly requests: readonly SeenRequest[]
  clearRequests(): void
  /**
   * The first recorded request that matches, now or as soon as one arrives (its `status` may still be 0).
   * @param signal default: the bound of whatever a test waits for
   * @throws the signal's reason when none came
   */
  whenRequested(matches: (request: SeenRequest) => boolean, signal?: AbortSignal): Promise<SeenRequest>
  /** File bytes written so far by the CDN and resolve-cache. */
  bytesServed(): number
  /** `false`: connections are cut and refused (ECONNREFUSED); `true`: listens on the same ports again. */
  setOnline(on: boolean): Promise<void>
  setQuotas(quotas: Quotas): void
}
