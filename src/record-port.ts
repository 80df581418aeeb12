import type { CommitId, Sha256 } from './domain/digest.ts'
import type { LoggedEvent } from './domain/events.ts'
import type { Listing, ListingHead } from './domain/listing.ts'
import type { Manifest, ManifestDraft, ManifestHead } from './domain/manifest.ts'
import type { RepoName } from './domain/repo.ts'

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
  writeManifest(head: ManifestHead, files: ManifestDraft, signal: AbortSignal): Promise<void>
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
