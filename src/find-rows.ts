import type { SnapshotState } from './archive-rows.ts'
import type { CommitId, Digests, GitOid, Sha256 } from './domain/digest.ts'
import type { Attestor } from './domain/manifest.ts'
import type { UpstreamState } from './domain/repo-state.ts'
import type { LicenseFacts, RepoRef } from './domain/repo.ts'

// What `find` and `adopt` ask the catalog.

/** Everything listed, in a form that fits into memory. Prefixes of digests are compared: `mayList` may rarely be wrong. */
export interface ListedContents {
  hasSize(size: number): boolean
  mayList(sha256: Sha256, gitOid: GitOid): boolean
}

/** A file name to look for: `*` and `?` stand for any text and any character. */
export interface FileNameQuery {
  readonly pattern: string
}

/** One listed file, and who has it. */
export interface WhereListed {
  /** The repository by its present name. */
  readonly ref: RepoRef
  /** The same by its name when the commit was listed. */
  readonly listedAs: RepoRef
  readonly commit: CommitId
  readonly path: string
  readonly size: number
  readonly sha256: Sha256 | undefined
  readonly gitOid: GitOid | undefined
  /** Whether the archive has the bytes. */
  readonly held: boolean
  readonly snapshotState: SnapshotState
  readonly upstream: UpstreamState
  /** What the card said at that commit. */
  readonly license: LicenseFacts
  /** What the repository says now. */
  readonly licenseNow: LicenseFacts
}

/** A file outside the archive, as it was when it was hashed: hex of any digest of its path and of its identity. */
export interface SeenFile {
  readonly pathDigest: string
  readonly stamp: string
}

/** Bytes that were published without a job. */
export interface AdoptedBlob extends Digests {
  /** Who is known to have vouched for them, besides the listings that have them. */
  readonly attestedBy?: readonly Attestor[]
}
