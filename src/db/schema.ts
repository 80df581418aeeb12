import type { Kysely } from 'kysely'
import type {
  BlobsTable,
  DamagedBlobsTable,
  DetailsTable,
  FilesTable,
  ListedDigestsTable,
  SeenFilesTable,
  SnapshotBlobsTable,
  SnapshotsTable,
} from './snapshot-tables.ts'
import type {
  CardsTable,
  RefStatesTable,
  ReposTable,
  RescuesTable,
  SightingsTable,
  TransitionsTable,
  WatchesTable,
} from './repo-tables.ts'
import type { ChannelsTable, OutboxTable } from './alert-tables.ts'
import type { JobFilesTable, JobsTable, SourceFaultsTable } from './job-tables.ts'
import type { LicenseFilesTable, LicenseReadingsTable, LicensesTable } from './license-tables.ts'

/** Few values of the whole catalog. */
export interface MetaTable {
  key: string
  value: string
}

/** Sums over everything, so that no page ever counts rows. */
export interface CountersTable {
  name: 'repos' | 'snapshots' | 'files_listed' | 'bytes_listed' | 'blobs' | 'blob_bytes'
  value: number
}

/** The event log: numbered without a gap. */
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

/** Every table of the catalog. */
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
