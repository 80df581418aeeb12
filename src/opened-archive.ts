import type { ArchiveWriter } from './archive-rows.ts'
import type { AlertChannel } from './alert-port.ts'
import type { BlobStore } from './blob-port.ts'
import type { Catalog } from './catalog-port.ts'
import type { Clock } from './clock-port.ts'
import type { CommitId, Sha256 } from './domain/digest.ts'
import type { ArchiveError } from './domain/errors.ts'
import type { LicenseBook } from './domain/license-match.ts'
import type { Settings } from './domain/settings.ts'
import type { WitnessBook } from './domain/witness.ts'
import type { HubSource } from './hub-port.ts'
import type { Log } from './log-port.ts'
import type { RecordStore } from './record-port.ts'
import type { ServiceLink } from './service-port.ts'

/** Everything a command or the service works with, opened by `compose.ts` and closed in reverse. */
export interface OpenedArchive extends AsyncDisposable {
  /** Absolute path of the archive folder. */
  readonly root: string
  readonly settings: Settings
  readonly catalog: Catalog
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly hub: HubSource
  /** Who is told of events, as the configuration has it. */
  readonly channels: readonly AlertChannel[]
  readonly witness: WitnessBook
  /** The known licences; read when first asked for. */
  readonly licenseBook: () => Promise<LicenseBook>
  readonly clock: Clock
  readonly log: Log
  /** False when it was opened for reading only (another process writes). */
  readonly writable: boolean
  /** Why it may only be read, where it would have been written if possible: another process, or the disk. */
  readonly refusal?: ArchiveError
  /** The running service of this archive, when there is one. */
  readonly service: ServiceLink | undefined
  /** The process that writes in the archive now, be it a service or one pass; undefined when none does. */
  readonly writer: () => Promise<ArchiveWriter | undefined>
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
  /** Sealed snapshots whose manifest cannot be read. */
  readonly unreadable: readonly { readonly repo: string; readonly commit: CommitId; readonly message: string }[]
  /** Held files whose SHA-256 a witness contradicts. */
  readonly contradicted: readonly {
    readonly repo: string
    readonly path: string
    readonly sha256: Sha256
    readonly witness: Sha256
    readonly source: string
  }[]
  /** Why the result could not be noted in the catalog: the disk is full. Left out where it was, and where nothing may be written. */
  readonly notRecorded?: string
}
