import type { OpenBlob } from '../blob-port.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ArchiveView, ReadableArchive } from './archive-view.ts'
import { BoundedCache } from './bounded-cache.ts'
import { MirrorError } from './mirror-error.ts'
import type { SnapshotView, ViewFile } from './snapshot-view.ts'

/** Files up to this size are kept in memory: configs, cards, licences. */
const SMALL_BYTES = 64 * 1024
const MOST_SMALL_BYTES = 16 * 1024 * 1024
/** How long a look at the disk counts, for files that are asked for thousands of times a second. */
const FRESH_MS = 250

interface Checked {
  readonly atMs: number
  /** The content of a small file. */
  readonly bytes: Buffer | undefined
}

/** The bytes of held files, for as long as the archive vouches for them. */
export class HeldBytes {
  readonly #archive: ReadableArchive
  readonly #view: ArchiveView
  readonly #signal: AbortSignal
  readonly #checked = new BoundedCache<Sha256, Checked>(MOST_SMALL_BYTES)

  /** @param signal ends hashing that still runs when the mirror stops */
  constructor(archive: ReadableArchive, view: ArchiveView, signal: AbortSignal) {
    this.#archive = archive
    this.#view = view
    this.#signal = signal
  }

  /** The content of a small file, if it was looked at a moment ago. */
  fresh(file: ViewFile): Buffer | undefined {
    if (file.size > SMALL_BYTES || file.sha256 === undefined || this.#view.isDamaged(file.sha256)) return undefined
    const checked = this.#checked.get(file.sha256)
    return checked !== undefined && this.#isFresh(checked) ? checked.bytes : undefined
  }

  /**
   * Makes sure that the file can be served now, and gives the content of a small one.
   * @throws MirrorError Unavailable where its bytes are missing, changed or unreadable
   */
  async check(file: ViewFile, snapshot: SnapshotView): Promise<Buffer | undefined> {
    const sha256 = this.#shaOf(file)
    const checked = this.#checked.get(sha256)
    if (checked !== undefined && this.#isFresh(checked)) return checked.bytes
    const atMs = this.#archive.clock.now()
    await using blob = await this.open(file, snapshot)
    const bytes = file.size <= SMALL_BYTES ? await readAll(blob) : undefined
    this.#checked.set(sha256, { atMs, bytes }, 200 + (bytes?.length ?? 0))
    return bytes
  }

  /** @throws as check */
  async open(file: ViewFile, snapshot: SnapshotView): Promise<OpenBlob> {
    const sha256 = this.#shaOf(file)
    try {
      return await this.#archive.blobs.open(sha256, file.size, Date.parse(snapshot.sealedAt), this.#signal)
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error
      this.#archive.log.warn({ component: 'mirror', sha256, code: error.code, err: error }, 'held file not served')
      throw unavailable(file)
    }
  }

  #shaOf(file: ViewFile): Sha256 {
    if (file.sha256 === undefined || this.#view.isDamaged(file.sha256)) throw unavailable(file)
    return file.sha256
  }

  #isFresh(checked: Checked): boolean {
    const age = this.#archive.clock.now() - checked.atMs
    return age >= 0 && age < FRESH_MS
  }
}

async function readAll(blob: OpenBlob): Promise<Buffer> {
  const bytes = Buffer.alloc(blob.size)
  let at = 0
  while (at < bytes.length) {
    const read = await blob.read(bytes.subarray(at), at)
    if (read === 0) throw new Error('a blob ended before its size')
    at += read
  }
  return bytes
}

/** No 404: a client would note that the file does not exist, and it will be back once it is repaired. */
function unavailable(file: ViewFile): MirrorError {
  const message = `${file.path} is damaged or missing in this archive and is not served until it is repaired`
  return new MirrorError(503, 'Unavailable', message, { 'Retry-After': '300' })
}
