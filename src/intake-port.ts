import type { Digests } from './domain/digest.ts'
import type { ContentKey } from './domain/listing.ts'

/** Takes bytes in their order, in memory of its own, so that they are never copied. */
export interface ByteSink {
  /** Memory for the next bytes, never empty; undefined while there is none: then `room` says when. */
  view(): Uint8Array | undefined
  /** The first `count` bytes of the last view hold bytes. */
  filled(count: number): void
  /** Resolves when there is room. @throws what makes it pointless to go on: DISK_*, ARCHIVE_*; the signal's reason */
  room(signal: AbortSignal): Promise<void>
}

/** A run of missing bytes that one connection fetches. */
export interface PartialRange extends ByteSink {
  readonly start: number
  readonly end: number
  /** Where the next byte goes. */
  readonly position: number
  /**
   * It comes over the same connection as that one, which is not released yet, and after it: both may fill the memory that
   * a kill may cost one connection. Otherwise it waits until what other connections had brought is safe.
   */
  follows(before: PartialRange): void
  /** Ends the claim: what was filled is kept, the rest is missing again. Also when the range is whole. */
  release(): void
}

/** What hands out the ranges that are to be fetched of a file. */
export interface RangeSource {
  /** Bytes that need not be fetched any more, wherever they are. */
  readonly heldBytes: number
  /** Ranges that may be filled at once: one where the disk wants its bytes in order. */
  readonly maxRanges: number
  /**
   * The first missing bytes that nobody has claimed, at most about `maxBytes`; undefined when there are none.
   * @throws DISK_FAILED
   */
  claim(maxBytes: number, signal: AbortSignal): Promise<PartialRange | undefined>
}

/**
 * A whole file of wrong digests while its bytes come again, to be compared block by block. Claims hand out every byte
 * once more and write nothing; those that differ are asked for again until one version came twice.
 */
export interface SecondLook extends RangeSource {
  /** No more ranges for now: it is over, or something won that is to be written by `mend` first. */
  readonly isWaiting: boolean
  /** Every block came twice alike, or one of them is undecided. */
  readonly isOver: boolean
  /** A block came in another way each time. */
  readonly isUndecided: boolean
  /** Offsets of the blocks that came differently at least once. */
  readonly differed: readonly number[]
  /**
   * Writes what came twice over what is in the file and came once; the file has to be finished again then. No range is
   * claimed. Returns how many blocks that were.
   * @throws DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY
   */
  mend(signal: AbortSignal): Promise<number>
  /**
   * Lets come again what came twice alike before this look, too: it may have come from elsewhere. False when there is no
   * such block. No range is claimed.
   */
  compareCarried(): boolean
}

/** An unfinished download. Disposing it closes the file and keeps its bytes for a resume. */
export interface PartialFile extends RangeSource, AsyncDisposable {
  /** End of the unbroken run of bytes from the beginning. What came before a restart is proven by `finish` only. */
  readonly position: number
  /** Appends at `position`; not together with `claim`. @throws DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY */
  append(chunk: Uint8Array, signal: AbortSignal): Promise<void>
  /** Forgets everything: the next byte starts a new file. No range is claimed. */
  restart(): Promise<void>
  /**
   * fsync, then the digests of what is in the file. After a failed fsync the file is dead and removed.
   * @throws DISK_FULL, DISK_FAILED; PARTIAL_DAMAGED when bytes on disk are no longer what arrived: they are missing again,
   *   and only they have to be fetched
   */
  finish(signal: AbortSignal): Promise<Digests>
  /**
   * For a file that was finished, is as it arrived, and is not what its key says: a part of it came wrongly. What came
   * twice alike before a stop does not come again.
   */
  lookAgain(): SecondLook
}

/** What became of a small content. When it was not published, its bytes wait as a partial: they are not its key's. */
export interface StoredSmall {
  readonly digests: Digests
  readonly isPublished: boolean
}

/** Memory for one small content on its way to the disk. Disposing it gives the memory back. */
export interface SmallContent extends Disposable {
  /** To be filled whole before it is stored. */
  readonly bytes: Uint8Array
}

/** The way of small contents into the store. One at a time is open; disposing it waits for what is under way. */
export interface SmallIntake extends AsyncDisposable {
  /** So many more will be taken soon: for many of them whatever writes them makes ready. */
  expect(count: number): void
  /** Waits while all memory is in use. `size` is at most `SMALL_CONTENT_BYTES`. */
  take(key: ContentKey, size: number, signal: AbortSignal): Promise<SmallContent>
  /**
   * Writes, fsyncs, reads back, hashes and publishes these, together with others that come at the same time. Their memory
   * is given back as soon as the files have it, at the latest now.
   * @param contents of this intake; each is stored once
   * @returns one result for each, in their order; DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY, FIXITY_FAILED: nothing of that
   *   one is published
   */
  store(contents: readonly SmallContent[]): Promise<readonly (StoredSmall | Error)[]>
}
