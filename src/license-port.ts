import type { CommitId, Sha256 } from './domain/digest.ts'
import type { ChangeEvent, LoggedEvent } from './domain/events.ts'
import type { LicenseEntry, LicenseFile, LicenseReading, LicenseRole } from './domain/license-entry.ts'
import type { RepoName, RepoRef } from './domain/repo.ts'

/** The licence of one commit as it was stated and as its files read. */
export interface LicenseRow extends Omit<LicenseEntry, 'files'> {
  readonly snapshotId: number
  readonly repoId: number
  /**
   * Who states `stated` and `form`: the Hub's list with the poll that found this commit, or README.md of this very commit
   * where the Hub said nothing (an old commit that was found later).
   */
  readonly statedBy: 'hub' | 'card'
  /** Name of the repository when it was listed. */
  readonly ref: RepoRef
  readonly commit: CommitId
  /** ISO time at which the commit was listed. */
  readonly at: string
  readonly files: readonly LicenseFile[]
}

/** A held licence file that nobody has read yet. Files with the same bytes are one. */
export interface UnreadLicense {
  readonly sha256: Sha256
  readonly size: number
  readonly role: LicenseRole
  /** When its bytes were last proven, in ms since 1970. */
  readonly provenAtMs: number
}

/** The licences of every commit: an index that can be made again from listings and blobs. */
export interface LicenseLedger {
  /**
   * Snapshots without an entry, oldest first: those listed before there was a ledger. `upTo` is where the search ended;
   * `recordedUpTo` lets the next one begin there.
   */
  unrecorded(limit: number): Promise<{ rows: { snapshotId: number; name: RepoName; commit: CommitId }[]; upTo: number }>
  recordedUpTo(snapshotId: number): Promise<void>
  /** Whether an entry waits to be compared or a held file to be read. Cheap: asked every few seconds. */
  hasWork(): Promise<boolean>
  /** Writes an entry. One that is there stays. */
  record(snapshotId: number, entry: LicenseEntry): Promise<void>
  /** Held files that were not read, after every file whose bytes were is marked as read. */
  takeUnread(limit: number): Promise<UnreadLicense[]>
  /** Keeps what some bytes say; the next `takeUnread` gives it to every file that has them. */
  recordReading(sha256: Sha256, reading: LicenseReading): Promise<void>
  /**
   * Entries not yet compared with the one before, whose wanted files are all read. Oldest first. One whose commit becomes
   * the head again is among them again.
   */
  comparable(limit: number): Promise<LicenseRow[]>
  /** The entry of this repository that was compared last, without those passed over. */
  lastCompared(repoId: number): Promise<LicenseRow | undefined>
  /**
   * Notes that an entry was compared, with the events that found, or that it was passed over: nothing is ever compared
   * with that one.
   */
  recordCompared(
    snapshotId: number,
    outcome: { readonly isPassedOver: boolean; readonly events: readonly ChangeEvent[] },
  ): Promise<LoggedEvent[]>
  /** The entry of one snapshot. */
  entryOf(snapshotId: number): Promise<LicenseRow | undefined>
  /** Entries of one repository, in the order in which its commits were listed, the last one first. */
  history(repoId: number, limit: number): Promise<LicenseRow[]>
  /** The SPDX form that the Hub stated of a repository: with its last head before this time, else with its first one. */
  formAt(name: RepoName, at: string): Promise<string | undefined>
}
