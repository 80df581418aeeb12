import type { Digests, Sha256, WholeDigests } from './domain/digest.ts'
import type { ExportPlan } from './domain/export-plan.ts'
import type { ContentKey } from './domain/listing.ts'
import type { PartialFile, SmallIntake } from './intake-port.ts'

/** CRC-32 of each block of a blob, taken as the bytes arrived: finds damage fast and to the block. Proves nothing. */
export interface BlockChecks {
  readonly size: number
  /** Length of every block but the last. */
  readonly blockBytes: number
  readonly crcs: Uint32Array
}

/** A held blob while it is read. Disposing it closes the file. */
export interface OpenBlob extends AsyncDisposable {
  readonly size: number
  /** Fills the buffer from this position on, or less; 0 at the end. @throws DISK_FAILED, ARCHIVE_MISSING_MARKER */
  read(buffer: Uint8Array, position: number): Promise<number>
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

/** How files are made of blobs. */
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

/** What an export made, and what was there already. */
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
  /** Whole size of the file of which there is a partial of these bytes; undefined where there is none. */
  begunSize(key: ContentKey): Promise<number | undefined>
  /** Opens or resumes the partial of these bytes. One of a file of another size is replaced. */
  openPartial(key: ContentKey, size: number, signal: AbortSignal): Promise<PartialFile>
  /** Opens the way of small contents. */
  openIntake(): SmallIntake
  /** Links a finished partial into place without replacing, fsyncs folders, removes the partial. Idempotent. */
  publish(key: ContentKey, digests: Digests, signal: AbortSignal): Promise<void>
  /** Moves a finished partial into quarantine with its note; never deletes. */
  quarantinePartial(key: ContentKey, note: QuarantineNote, signal: AbortSignal): Promise<void>
  /** Whether these very bytes were set aside earlier, when this content was promised. */
  isQuarantined(key: ContentKey, digests: Digests): Promise<boolean>
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
  /** The block checks kept with a blob; undefined where there are none: small blobs, and where a power cut took them. */
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
  /** Size of every partial file. @param isLeftOut says which are of no interest: each costs a look at the disk */
  partialSizes(isLeftOut?: (key: ContentKey) => boolean): Promise<ReadonlyMap<ContentKey, number>>
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
