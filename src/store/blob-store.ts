import { dirname } from 'node:path'
import type {
  BlobStore,
  BlockChecks,
  ExportOptions,
  ExportResult,
  GiveMethod,
  OpenBlob,
  QuarantineNote,
} from '../blob-port.ts'
import type { Digests, Sha256, WholeDigests } from '../domain/digest.ts'
import { ArchiveError, invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { PartialFile, SmallIntake } from '../intake-port.ts'
import { isErrno, syncDirectory, unlinkIfThere } from '../lib/fs-durable.ts'
import { BLOCK_BYTES } from '../lib/block-memory.ts'
import type { HashPool } from '../lib/hash-files.ts'
import { oneAtATime } from '../lib/one-at-a-time.ts'
import type { ExportPlan } from '../domain/export-plan.ts'
import type { Log } from '../log-port.ts'
import { ArchiveDisk } from './archive-disk.ts'
import { dropBallastFile, keepBallastFile } from './ballast.ts'
import { readBlockChecks } from './block-checks.ts'
import { CarriedBytes } from './carried-bytes.ts'
import { exportFolder } from './export-folder.ts'
import { Layout } from './layout.ts'
import { listBlobs } from './list-blobs.ts'
import { freeBytes, lstatIfThere, partialSizes, quarantineBytes } from './measure-space.ts'
import { brandDigests, PartialDownload, type FinishedPartial } from './partial-file.ts'
import { begunSize } from './piece-journal.ts'
import { publishPartial } from './publish-blob.ts'
import { findCopy, moveToQuarantine } from './quarantine.ts'
import { BlobReader } from './read-blob.ts'
import type { PartialContext } from './resume-partial.ts'
import { FolderIntake } from './small-intake.ts'
import { sweepPartials } from './sweep-partials.ts'
import { digestFile, takeIn } from './take-in.ts'
import { fixityFailed, onDisk, storeError } from './store-error.ts'

export interface BlobStoreOptions {
  /** An archive folder that `openArchiveFolder` accepted. */
  readonly root: string
  readonly archiveId: string
  /** Unit of resume, at most and by default 1 MiB. */
  readonly pieceBytes?: number
  /** One write at a time, and each file in its order over one connection: for hard disks. */
  readonly sequential?: boolean
  /** Belongs to the caller, who closes it after the store's last use. */
  readonly hashPool: HashPool
  readonly log: Log
}

/**
 * The blob store of an archive folder. `sizeOf`, `list`, `digest` and the rest that only reads may be used beside a
 * process that writes; everything else needs the archive's lock.
 * @throws ArchiveError ARCHIVE_MISSING_MARKER when the folder is gone
 */
export function createBlobStore(options: BlobStoreOptions): BlobStore {
  return new FolderBlobStore(options)
}

class FolderBlobStore implements BlobStore {
  readonly #layout: Layout
  readonly #disk: ArchiveDisk
  readonly #context: PartialContext
  readonly #open = new Map<ContentKey, PartialDownload | 'opening'>()
  readonly #finished = new Map<ContentKey, FinishedPartial>()
  /** Folders whose names this process has made durable. */
  readonly #known = new Set<string>()
  /** Blob folders synced since this process started: an earlier one may have died before it could. */
  readonly #settled = new Set<string>()
  readonly #reader: BlobReader
  #swept: Promise<void> | undefined

  constructor(options: BlobStoreOptions) {
    const { root, archiveId, pieceBytes = BLOCK_BYTES, hashPool, log, sequential = false } = options
    this.#layout = new Layout(root)
    this.#context = {
      layout: this.#layout,
      pool: hashPool,
      log,
      carried: new CarriedBytes(),
      blockBytes: pieceBytes,
      sequential,
      alone: sequential ? oneAtATime() : (write) => write(),
      syncAlone: oneAtATime(),
    }
    this.#reader = new BlobReader(this.#layout, (sha256, signal) => this.digest(sha256, signal))
    this.#disk = new ArchiveDisk(this.#layout, archiveId)
  }

  async sizeOf(sha256: Sha256): Promise<number | undefined> {
    const path = this.#layout.blob(sha256)
    return onDisk(this.#layout, path, async () => {
      const facts = await this.#disk.lookAtBlob(path)
      if (facts === undefined) return undefined
      if (!facts.isFile()) throw fixityFailed(this.#layout.shown(path), 'is no regular file')
      await this.#settle(dirname(path))
      return facts.size
    })
  }

  async openPartial(key: ContentKey, size: number, signal: AbortSignal): Promise<PartialFile> {
    signal.throwIfAborted()
    invariant(Number.isSafeInteger(size) && size >= 0, `${size} is a size`)
    invariant(!this.#open.has(key), `${key} is open once`)
    const path = this.#layout.partialFile(key)
    this.#open.set(key, 'opening')
    this.#finished.delete(key)
    try {
      const observer = {
        finished: (finished: FinishedPartial) => void this.#finished.set(key, finished),
        changing: () => void this.#finished.delete(key),
        closed: () => void this.#open.delete(key),
      }
      const partial = await onDisk(this.#layout, path, async () => {
        await this.#sweepOnce()
        return PartialDownload.open(this.#context, key, size, observer)
      })
      this.#open.set(key, partial)
      return partial
    } catch (error) {
      this.#open.delete(key)
      throw error
    }
  }

  begunSize(key: ContentKey): Promise<number | undefined> {
    const path = this.#layout.pieceJournal(key)
    return onDisk(this.#layout, path, () => begunSize(path, key))
  }

  openIntake(): SmallIntake {
    return new FolderIntake({
      layout: this.#layout,
      prepare: () => onDisk(this.#layout, this.#layout.partial, () => this.#sweepOnce()),
      settled: (folder) => this.#settled.add(folder),
    })
  }

  async publish(key: ContentKey, digests: Digests, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const blob = this.#layout.blob(digests.sha256)
    const finished = this.#finished.get(key)
    if (finished === undefined) {
      invariant((await this.sizeOf(digests.sha256)) === digests.size, `${key} was finished before it is published`)
      return
    }
    const { sha256, gitOid, size } = finished.digests
    const isProven = sha256 === digests.sha256 && gitOid === digests.gitOid && size === digests.size
    invariant(isProven, 'only digests that were read back are published')
    // A published blob is never open for writing.
    await this.#close(key)
    const publishing = { known: this.#known, pool: this.#context.pool, signal }
    await onDisk(this.#layout, blob, () => publishPartial(this.#layout, key, finished, publishing))
    this.#finished.delete(key)
  }

  async quarantinePartial(key: ContentKey, note: QuarantineNote, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#close(key)
    const path = this.#layout.partialFile(key)
    await onDisk(this.#layout, path, async () => {
      const movedTo = await moveToQuarantine(this.#layout, path, note)
      await unlinkIfThere(this.#layout.pieceJournal(key))
      const fields = { key, reason: note.reason, movedTo: movedTo && this.#layout.shown(movedTo) }
      this.#context.log.warn(fields, movedTo === undefined ? 'nothing to quarantine' : 'partial quarantined')
    })
    this.#finished.delete(key)
  }

  async isQuarantined(key: ContentKey, digests: Digests): Promise<boolean> {
    const folder = this.#layout.quarantine
    return onDisk(this.#layout, folder, async () => (await findCopy(this.#layout, key, digests)) !== undefined)
  }

  async quarantineBlob(sha256: Sha256, note: QuarantineNote, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const path = this.#layout.blob(sha256)
    return onDisk(this.#layout, path, async () => {
      const movedTo = await moveToQuarantine(this.#layout, path, note)
      if (movedTo === undefined) return false
      await syncDirectory(dirname(path))
      this.#context.log.warn({ sha256, reason: note.reason, movedTo: this.#layout.shown(movedTo) }, 'blob quarantined')
      return true
    })
  }

  async digest(sha256: Sha256, signal: AbortSignal): Promise<Digests> {
    const path = this.#layout.blob(sha256)
    try {
      const found = await this.#context.pool.hashFile(path, signal)
      return brandDigests(found)
    } catch (error) {
      const shown = this.#layout.shown(path)
      if (isErrno(error, 'ELOOP', 'ENXIO', 'EINVAL')) throw fixityFailed(shown, 'is no regular file', error)
      if (!isErrno(error, 'ENOENT')) throw await storeError(this.#layout, path, error)
      await this.#disk.assertBlobFolder()
      throw new ArchiveError('FILE_UNKNOWN', `${shown} is not in the archive`, { cause: error })
    }
  }

  async blockChecks(sha256: Sha256): Promise<BlockChecks | undefined> {
    const path = this.#layout.blockChecks(sha256)
    return onDisk(this.#layout, path, () => readBlockChecks(this.#layout, sha256))
  }

  open(sha256: Sha256, size: number, provenAtMs: number, signal: AbortSignal): Promise<OpenBlob> {
    return this.#reader.open(sha256, size, provenAtMs, signal)
  }

  exportFiles(to: string, plan: ExportPlan, options: ExportOptions, signal: AbortSignal): Promise<ExportResult> {
    return exportFolder(this.#context, to, plan, options, signal)
  }

  digestFile(path: string, signal: AbortSignal): Promise<WholeDigests> {
    return digestFile(this.#context.pool, path, signal)
  }

  takeIn(path: string, digests: Digests, method: GiveMethod, signal: AbortSignal): Promise<GiveMethod | 'held'> {
    const { layout, pool, blockBytes } = this.#context
    return takeIn({ layout, pool, blockBytes, known: this.#known, store: this }, path, digests, method, signal)
  }

  list(signal: AbortSignal): AsyncIterable<{ sha256: Sha256; size: number }> {
    return listBlobs(this.#layout, this.#context.log, signal)
  }

  async discardPartial(key: ContentKey, writtenBeforeMs: number): Promise<boolean> {
    const path = this.#layout.partialFile(key)
    return onDisk(this.#layout, path, async () => {
      if (this.#open.has(key)) return false
      const facts = await lstatIfThere(path)
      if (!facts?.isFile() || facts.mtimeMs >= writtenBeforeMs) return false
      this.#finished.delete(key)
      await unlinkIfThere(path)
      await unlinkIfThere(this.#layout.pieceJournal(key))
      return true
    })
  }

  async partialSizes(isLeftOut?: (key: ContentKey) => boolean): Promise<ReadonlyMap<ContentKey, number>> {
    return onDisk(this.#layout, this.#layout.partial, () => partialSizes(this.#layout, isLeftOut))
  }

  async quarantineBytes(): Promise<number> {
    return onDisk(this.#layout, this.#layout.quarantine, () => quarantineBytes(this.#layout))
  }

  async freeBytes(): Promise<number> {
    return onDisk(this.#layout, this.#layout.blobs, () => freeBytes(this.#layout))
  }

  async keepBallast(reserveBytes: number): Promise<boolean> {
    const path = this.#layout.ballast
    return onDisk(this.#layout, path, () => keepBallastFile(path, reserveBytes, () => this.freeBytes()))
  }

  async dropBallast(): Promise<boolean> {
    return onDisk(this.#layout, this.#layout.ballast, () => dropBallastFile(this.#layout.ballast))
  }

  assertMounted(): Promise<void> {
    return this.#disk.assertMounted()
  }

  async #close(key: ContentKey): Promise<void> {
    const partial = this.#open.get(key)
    invariant(partial !== 'opening', `${key} is open`)
    await partial?.[Symbol.asyncDispose]()
  }

  /** Before the first partial of this process, which has the archive's lock then. */
  async #sweepOnce(): Promise<void> {
    this.#swept ??= sweepPartials(this.#layout)
    try {
      await this.#swept
    } catch (error) {
      this.#swept = undefined
      throw error
    }
  }

  async #settle(folder: string): Promise<void> {
    if (this.#settled.has(folder)) return
    try {
      await syncDirectory(folder)
    } catch (error) {
      // Whoever may only read has nothing to make durable.
      if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM')) throw error
    }
    this.#settled.add(folder)
  }
}
