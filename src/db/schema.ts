import type { Generated, Kysely } from 'kysely'

/** Yes or no as SQLite and PostgreSQL both store it. */
export type Flag = 0 | 1

export interface MetaTable {
  key: string
  value: string
}

/** Sums over everything, so that no page ever counts rows. */
export interface CountersTable {
  name: 'repos' | 'snapshots' | 'files_listed' | 'bytes_listed' | 'blobs' | 'blob_bytes'
  value: number
}

export interface WatchesTable {
  id: Generated<number>
  key: string
  last_poll_at: string | null
  last_ok_at: string | null
  last_error_code: string | null
  last_error_message: string | null
}

export interface ReposTable {
  id: Generated<number>
  /** 12 bytes. */
  hub_id: Buffer
  type: string
  /** As the Hub spells it now. */
  name: string
  /** `name` in lower case. */
  name_key: string
  /** Another hub id has this name now. */
  name_taken: Flag
  head: Buffer | null
  /** Whether `head` has a snapshot. */
  head_listed: Flag
  gated: string | null
  private: Flag
  disabled: Flag
  /** JSON `[license, license_name, license_link]`: text of the card may hold what SQL text cannot. */
  license: string
  /** Effective licence in lower case, for filters. */
  license_key: string | null
  created_at: string | null
  last_modified: string | null
  first_seen_at: string
  upstream: string
  upstream_evidence: string | null
  misses: number
  first_miss_at: string | null
  watch_id: number
  is_new_release: Flag
  newest_snapshot_id: number | null
  /** Copies of the newest snapshot's columns: what `list` filters by. */
  state: string | null
  bytes_listed: number
  formats: string
  quants: string
}

/** Apart from `repos`: large, and read only when a head is listed. */
export interface CardsTable {
  repo_id: number
  tags: string
  card_data: string | null
}

/** Apart from `repos`: written for every repository of every poll. */
export interface SightingsTable {
  repo_id: number
  seen_at: string
}

/** Every change of a repository's state, with what proves it. */
export interface TransitionsTable {
  id: Generated<number>
  repo_id: number
  at: string
  from_state: string
  to_state: string
  evidence: string | null
}

/** Branches and tags as last read, and the head of that look. */
export interface RefStatesTable {
  repo_id: number
  head: Buffer
  read_at: string
  /** JSON: names may hold what SQL text cannot. */
  refs: string
}

/** Repositories whose old commits are looked for. */
export interface RescuesTable {
  repo_id: number
  cause: string
  asked_at: string
  commits_tried: number
  commits_found: number
  done_at: string | null
}

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

/** One per content that is wanted and not held. */
export interface JobsTable {
  id: Generated<number>
  /** SHA-256 (32 bytes) or git oid (20 bytes). */
  digest: Buffer
  size: number
  is_small: Flag
  /** JOB_STATES in jobs.ts. */
  state: number
  /** Best of the snapshots that want it. */
  rank: number
  hold: number
  is_runnable: Flag
  attempts: number
  /** Time of the next try of a waiting job. */
  until_ms: number
  last_code: string | null
}

/** Who waits for a job. */
export interface JobFilesTable {
  snapshot_id: number
  is_small: Flag
  path_key: Buffer
  job_id: number
}

/** Repositories that served other bytes than promised. */
export interface SourceFaultsTable {
  digest: Buffer
  repo_id: number
  faults: number
  /** Not asked for this content before that time. */
  until_ms: number
}

/** Blobs found damaged that are to be fetched again. */
export interface DamagedBlobsTable {
  sha256: Buffer
  /** `corrupt` or `missing`. */
  found: string
  found_at: string
}

export interface EventsTable {
  seq: number
  id: string
  type: string
  /** Index into SEVERITIES. */
  severity: number
  repo_type: string | null
  repo_name: string | null
  repo_key: string | null
  at: string
  before: string | null
  after: string | null
  detail: string
}

/** How far an alert channel is in the event log, and how sending to it goes. Times in milliseconds since 1970. */
export interface ChannelsTable {
  id: Generated<number>
  key: string
  /** When a process last ran with this channel in its configuration. */
  opened_ms: number
  cut_seq: number
  digest_seq: number
  digest_at_ms: number
  burst_from_ms: number
  burst_count: number
  last_cut_ms: number
  failures: number
  failing_since_ms: number | null
  next_try_ms: number
  last_code: string | null
  last_message: string | null
  last_sent_ms: number | null
  told_ms: number | null
  given_up: number
}

/** Messages that wait for their channel. */
export interface OutboxTable {
  id: Generated<number>
  channel_id: number
  message_id: string
  kind: string
  /** JSON list of event numbers. */
  seqs: string
  /** JSON of a message that is not from the log. */
  notice: string | null
  created_ms: number
  attempts: number
}

/** What each commit's card says of its licence; see license-ledger.ts. */
export interface LicensesTable {
  snapshot_id: number
  repo_id: number
  /** As `repos.license`. */
  stated: string
  tags: string
  spdx: string | null
  kind: string | null
  base_models: string
  /** JSON text: of the card, so it may hold what SQL text cannot. */
  gate_terms: string | null
  /** 0 new, -1 passed over; from 1 on it counts the comparisons of the repository. */
  compared: number
}

export interface LicenseReadingsTable {
  id: Generated<number>
  sha256: Buffer
  role: string
  reading: string
}

export interface LicenseFilesTable {
  snapshot_id: number
  path_key: Buffer
  role: string
  reading_id: number | null
}

/** Which content a snapshot lists; see digest-prefixes.ts. */
export interface ListedDigestsTable {
  snapshot_id: number
  prefixes: Buffer
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

export interface Schema {
  licenses: LicensesTable
  license_readings: LicenseReadingsTable
  license_files: LicenseFilesTable
  meta: MetaTable
  counters: CountersTable
  watches: WatchesTable
  repos: ReposTable
  cards: CardsTable
  sightings: SightingsTable
  snapshots: SnapshotsTable
  files: FilesTable
  details: DetailsTable
  blobs: BlobsTable
  snapshot_blobs: SnapshotBlobsTable
  jobs: JobsTable
  job_files: JobFilesTable
  source_faults: SourceFaultsTable
  damaged_blobs: DamagedBlobsTable
  events: EventsTable
  channels: ChannelsTable
  outbox: OutboxTable
  transitions: TransitionsTable
  ref_states: RefStatesTable
  rescues: RescuesTable
  listed_digests: ListedDigestsTable
  seen_files: SeenFilesTable
}

/** The catalog's database, inside or outside a transaction. */
export type Db = Kysely<Schema>
