import type { Generated } from 'kysely'
import type { Flag } from './codec.ts'

/** One row for each listed commit of a repository. */
export interface SnapshotsTable {
  id: Generated<number>
  repo_id: number
  commit_id: Buffer
  /** Name of the repo when it was listed: where its listing and manifest are. */
  name: string
  state: string
  blocked_by: string | null
  coverage: string
  /** Index into HOLD_ORDER. */
  hold: number
  rank: number
  /** When it was put in front, as a number that only grows; 0 = never. */
  bumped_as: number
  policy_key: string
  listed_at: string
  sealed_at: string | null
  manifest_revision: number
  /** `files_held` when the last manifest was written. */
  sealed_files: number
  files_listed: number
  bytes_listed: number
  files_wanted: number
  bytes_wanted: number
  files_held: number
  bytes_held: number
  /** Wanted and not held. */
  missing_files: number
  missing_large_bytes: number
  formats: string
  quants: string
  /** Files whose digest the Hub withheld, and when (ISO; '' = ask again) the tree was last read. */
  files_undigested: number
  read_at: string
}

/** What a snapshot lists, and what the policy says of it. */
export interface FilesTable {
  snapshot_id: number
  /** The path as bytes, see codec.ts. */
  path_key: Buffer
  size: number
  git_oid: Buffer | null
  is_lfs: Flag
  lfs_oid: Buffer | null
  xet_hash: Buffer | null
  is_small: Flag
  take: Flag
  /** Index into DECISION_REASONS. */
  reason: number
  detail_id: number
  blob_id: number | null
}

/** Sentences of decisions, each stored once; see decisions.ts. */
export interface DetailsTable {
  id: Generated<number>
  text: string
}

/** Which content a snapshot lists; see digest-prefixes.ts. */
export interface ListedDigestsTable {
  snapshot_id: number
  prefixes: Buffer
}

/** Held content only: a file that was merely listed has no row here. */
export interface BlobsTable {
  id: Generated<number>
  sha256: Buffer
  /** Empty where it was not computed. */
  git_oid: Buffer
  size: number
  stored_at: string
  verified_ms: number
  /** Bits by position in ATTESTORS. */
  attested_by: number
}

/** Which snapshots hold a blob: the way back from bytes to names, and the oldest check of a snapshot. */
export interface SnapshotBlobsTable {
  blob_id: number
  snapshot_id: number
  verified_ms: number
}

/** Blobs found damaged that are to be fetched again. */
export interface DamagedBlobsTable {
  sha256: Buffer
  /** `corrupt` or `missing`. */
  found: string
  found_at: string
}

/** Files outside the archive that were hashed before: a second look need not read them again. */
export interface SeenFilesTable {
  /** First 16 bytes of the SHA-256 of the path. */
  path_digest: Buffer
  /** The same of device, inode, size and time of change. */
  stamp: Buffer
  sha256: Buffer
  git_oid: Buffer
}
