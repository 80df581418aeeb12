import type { GiveMethod } from '../blob-port.ts'
import type { SeenFile } from '../find-rows.ts'
import type { CommitId, GitOid, Sha256, WholeDigests } from '../domain/digest.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import { printRepo } from '../domain/repo.ts'
import { announce, nowIso, type PipelineDeps } from '../pipeline/deps.ts'
import { measureStored } from '../pipeline/disk-room.ts'
import { sealSnapshots } from '../pipeline/seal-snapshot.ts'

/** What is noted at once: so much is hashed again at most after a kill. */
const FILES_PER_BATCH = 256
const BYTES_PER_BATCH = 1024 * 1024 * 1024
/** Files that matched nothing are named, up to this many. */
const MOST_NAMED = 100_000

/** A file to look at. `shown` is its path within the folder, `path` how it is opened. */
export interface ForeignFile {
  readonly path: string
  readonly shown: string
  readonly size: number
  readonly seen: SeenFile
}

export type UnmatchedReason = 'no listing has a file of this size' | 'other bytes than any listing promises'

interface Count {
  files: number
  bytes: number
}

/** What became of the files of a folder. */
export interface Adopted {
  readonly looked: Count
  /** Published as blobs now. */
  readonly taken: Count
  readonly methods: Record<GiveMethod, number>
  /** The archive had these bytes before. */
  readonly alreadyHeld: Count
  readonly unmatched: Count
  readonly unmatchedFiles: { readonly path: string; readonly size: number; readonly reason: UnmatchedReason }[]
  /** Matched, but budget or reserve leave no room. */
  readonly noRoom: Count
  stoppedBy: 'budget' | 'reserve' | undefined
  readonly unreadable: { readonly path: string; readonly message: string }[]
  /** Files of listings that are held now and were not before. */
  filesHeld: number
  readonly sealed: { readonly repo: string; readonly commit: CommitId }[]
}

/**
 * Takes over the files that some listing promises, wanted by a policy or not: by size, then by SHA-256 or git id. What the
 * archive holds is not read again. Each file is hashed where it is, and once more in the archive before it has a name
 * there. Then whatever is complete is sealed. Killed at any point, the next call goes on.
 * @param method how bytes are taken where the disk can; else they are copied
 * @throws ArchiveError DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY; what was taken before stays
 */
export async function adoptFiles(
  deps: PipelineDeps,
  files: AsyncIterable<ForeignFile>,
  method: GiveMethod,
  signal: AbortSignal,
): Promise<Adopted> {
  const adoption = new Adoption(deps, method)
  try {
    await adoption.start()
    for await (const file of files) {
      signal.throwIfAborted()
      await adoption.visit(file, signal)
    }
  } finally {
    // Also of an adoption that is interrupted: what was hashed need not be hashed again.
    await adoption.flush()
  }
  for (const snapshot of await sealSnapshots(deps, signal)) {
    adoption.result.sealed.push({ repo: printRepo(snapshot.ref), commit: snapshot.commit })
  }
  return adoption.result
}

class Adoption {
  readonly result: Adopted = {
    looked: { files: 0, bytes: 0 },
    taken: { files: 0, bytes: 0 },
    methods: { reflink: 0, hardlink: 0, copy: 0 },
    alreadyHeld: { files: 0, bytes: 0 },
    unmatched: { files: 0, bytes: 0 },
    unmatchedFiles: [],
    noRoom: { files: 0, bytes: 0 },
    stoppedBy: undefined,
    unreadable: [],
    filesHeld: 0,
    sealed: [],
  }
  readonly #deps: PipelineDeps
  readonly #method: GiveMethod
  readonly #blobs = new Map<Sha256, WholeDigests>()
  readonly #seen: { seen: SeenFile; sha256: Sha256; gitOid: GitOid }[] = []
  #listed: Awaited<ReturnType<PipelineDeps['catalog']['listedContents']>> | undefined
  #batchBytes = 0
  #budgetLeft = 0
  #diskLeft = 0

  constructor(deps: PipelineDeps, method: GiveMethod) {
    this.#deps = deps
    this.#method = method
  }

  async start(): Promise<void> {
    await this.#deps.blobs.assertMounted()
    this.#listed = await this.#deps.catalog.listedContents()
    await this.#measure()
  }

  async visit(file: ForeignFile, signal: AbortSignal): Promise<void> {
    const { result } = this
    add(result.looked, file.size)
    if (this.#listed?.hasSize(file.size) !== true) return this.#unmatched(file, 'no listing has a file of this size')
    const digests = await this.#digest(file, signal)
    if (digests === undefined) return
    if (!this.#listed.mayList(digests.sha256, digests.gitOid)) {
      return this.#unmatched(file, 'other bytes than any listing promises')
    }
    if (await this.#isHeld(digests, signal)) {
      add(result.alreadyHeld, file.size)
      this.#blobs.set(digests.sha256, digests)
    } else if (this.#fits(file.size)) {
      await this.#take(file, digests, signal)
    }
    if (this.#blobs.size >= FILES_PER_BATCH || this.#batchBytes >= BYTES_PER_BATCH) await this.flush()
  }

  /** Tells the catalog what was published and what was looked at. */
  async flush(): Promise<void> {
    const { catalog } = this.#deps
    const blobs = [...this.#blobs.values()]
    if (blobs.length > 0) {
      const { files, events } = await catalog.adoptBlobs(blobs, nowIso(this.#deps))
      this.result.filesHeld += files
      announce(this.#deps, events)
    }
    this.#blobs.clear()
    if (this.#seen.length > 0) await catalog.noteSeen(this.#seen.splice(0))
    if (this.#batchBytes > 0) await this.#measure()
    this.#batchBytes = 0
  }

  async #digest(file: ForeignFile, signal: AbortSignal): Promise<WholeDigests | undefined> {
    const before = await this.#deps.catalog.digestsOfSeen(file.seen)
    if (before !== undefined) return { ...before, size: file.size }
    try {
      const digests = await this.#deps.blobs.digestFile(file.path, signal)
      this.#deps.progress.verified(file.shown, digests.size, 'hashed')
      if (digests.size !== file.size) throw new ArchiveError('FILE_UNKNOWN', `${file.shown} changed meanwhile`)
      this.#seen.push({ seen: file.seen, ...digests })
      if (this.#seen.length >= FILES_PER_BATCH * 4) await this.flush()
      return digests
    } catch (error) {
      this.#unreadable(file, error, signal)
      return undefined
    }
  }

  /** A blob that the catalog does not know is believed only after it was read. */
  async #isHeld({ sha256, size }: WholeDigests, signal: AbortSignal): Promise<boolean> {
    if (this.#blobs.has(sha256)) return true
    const { blobs, catalog } = this.#deps
    if ((await blobs.sizeOf(sha256)) !== size) return false
    if (await catalog.holdsBlob(sha256)) return true
    const found = await blobs.digest(sha256, signal)
    if (found.sha256 === sha256) return true
    throw new ArchiveError('FIXITY_FAILED', `the blob ${sha256} on disk has the bytes of ${found.sha256}`, {
      hint: 'It was left as it is. Run `weightvault verify`, move it away by hand, then adopt again.',
    })
  }

  /** A shared file takes nothing of the disk, but it counts in the budget. */
  #fits(size: number): boolean {
    const isShort =
      size > this.#budgetLeft ? 'budget' : size > this.#diskLeft && this.#method === 'copy' ? 'reserve' : undefined
    if (isShort === undefined) return true
    this.result.stoppedBy ??= isShort
    add(this.result.noRoom, size)
    return false
  }

  async #take(file: ForeignFile, digests: WholeDigests, signal: AbortSignal): Promise<void> {
    try {
      const how = await this.#deps.blobs.takeIn(file.path, digests, this.#method, signal)
      this.#blobs.set(digests.sha256, digests)
      this.#batchBytes += file.size
      this.#budgetLeft -= file.size
      if (how === 'held') return add(this.result.alreadyHeld, file.size)
      if (how === 'copy') this.#diskLeft -= file.size
      this.result.methods[how] += 1
      add(this.result.taken, file.size)
    } catch (error) {
      this.#unreadable(file, error, signal)
    }
  }

  #unmatched(file: ForeignFile, reason: UnmatchedReason): void {
    const { unmatched, unmatchedFiles } = this.result
    add(unmatched, file.size)
    if (unmatchedFiles.length < MOST_NAMED) unmatchedFiles.push({ path: file.shown, size: file.size, reason })
  }

  /** One file's own trouble ends nothing; the archive's ends all. */
  #unreadable(file: ForeignFile, error: unknown, signal: AbortSignal): void {
    signal.throwIfAborted()
    if (errorCodeOf(error) !== 'FILE_UNKNOWN') throw error
    this.result.unreadable.push({ path: file.shown, message: (error as Error).message })
  }

  async #measure(): Promise<void> {
    const { budgetBytes, reserveBytes } = this.#deps.settings
    const { usedBytes, freeBytes } = await measureStored(this.#deps, new Map())
    this.#budgetLeft = budgetBytes - usedBytes
    this.#diskLeft = freeBytes - reserveBytes
  }
}

function add(count: Count, bytes: number): void {
  count.files += 1
  count.bytes += bytes
}
