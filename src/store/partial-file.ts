import type { BlockChecks } from '../blob-port.ts'
import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import type { Digests } from '../domain/digest.ts'
import { ArchiveError, invariant } from '../domain/errors.ts'
import { isContentOf, type ContentKey } from '../domain/listing.ts'
import type { PartialFile, PartialRange, SecondLook } from '../intake-port.ts'
import type { FileDigests } from '../lib/hash-files.ts'
import { PartialWriter } from './partial-writer.ts'
import { PieceJournal } from './piece-journal.ts'
import type { Arrived } from './block-map.ts'
import { createPartial, openOrResume, type OpenedPartial, type PartialContext } from './resume-partial.ts'
import { BlockComparison, type NewVersions } from './second-look.ts'
import { onDisk, storeError } from './store-error.ts'

/** Proof that `finish` fsynced and hashed this very file; publishing wants to see it again. */
export interface FinishedPartial {
  readonly digests: Digests
  /** CRC-32 of its blocks. */
  readonly checks: BlockChecks
  readonly dev: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
}

/** Who keeps the list of open and finished partials. */
export interface PartialObserver {
  finished(partial: FinishedPartial): void
  /** It is about to be another file, or to have other bytes: what was said of it counts no more. */
  changing(): void
  closed(): void
}

/** The partial file of one content key, over as many files on disk as it takes. */
export class PartialDownload implements PartialFile {
  readonly #context: PartialContext
  readonly #key: ContentKey
  readonly #size: number
  readonly #observer: PartialObserver
  #opened: OpenedPartial
  #writer: PartialWriter
  #failure: Error | undefined
  #isClosed = false
  #running: Promise<unknown> | undefined

  private constructor(
    context: PartialContext,
    key: ContentKey,
    size: number,
    file: { readonly opened: OpenedPartial; readonly writer: PartialWriter },
    observer: PartialObserver,
  ) {
    this.#context = context
    this.#key = key
    this.#size = size
    this.#observer = observer
    this.#opened = file.opened
    this.#writer = file.writer
  }

  /** Opens or resumes. @throws errno errors */
  static async open(
    context: PartialContext,
    key: ContentKey,
    size: number,
    observer: PartialObserver,
  ): Promise<PartialDownload> {
    const opened = await openOrResume(context, key, size)
    const writer = await openWriter(context, key, opened)
    return new PartialDownload(context, key, size, { opened, writer }, observer)
  }

  get position(): number {
    return this.#writer.position
  }

  get heldBytes(): number {
    return this.#writer.heldBytes
  }

  get maxRanges(): number {
    return this.#context.sequential ? 1 : Number.POSITIVE_INFINITY
  }

  async claim(maxBytes: number, signal: AbortSignal): Promise<PartialRange | undefined> {
    signal.throwIfAborted()
    this.#assertUsable()
    const path = this.#context.layout.partialFile(this.#key)
    return onDisk(this.#context.layout, path, () => this.#writer.claim(maxBytes))
  }

  async append(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#assertUsable()
    invariant(this.position + chunk.length <= this.#size, `${this.#key} takes no more than ${this.#size} bytes`)
    await this.#alone(() => this.#writer.append(chunk, signal))
  }

  async restart(): Promise<void> {
    invariant(!this.#isClosed, 'the partial is open')
    await this.#alone(async () => {
      this.#observer.changing()
      try {
        if (this.#failure === undefined) await this.#writer.close()
        await this.#use(await createPartial(this.#context, this.#key, this.#size))
        this.#failure = undefined
      } catch (error) {
        this.#failure = await storeError(this.#context.layout, this.#context.layout.partialFile(this.#key), error)
        throw this.#failure
      }
    })
  }

  async finish(signal: AbortSignal): Promise<Digests> {
    signal.throwIfAborted()
    this.#assertUsable()
    const path = this.#context.layout.partialFile(this.#key)
    return this.#alone(() =>
      onDisk(this.#context.layout, path, async () => {
        await this.#writer.seal()
        const digests = brandDigests(await this.#writer.readBack(signal))
        if (this.#writer.isWhole) {
          if (!isContentOf(this.#key, digests)) await this.#forgetDamage(signal)
          const checks = this.#writer.checks()
          this.#observer.finished({ digests, checks, ...(await this.#writer.identity()) })
        }
        return digests
      }),
    )
  }

  lookAgain(): SecondLook {
    this.#assertUsable()
    return new BlockComparison({
      memory: this.#context.pool.memory,
      file: this.#opened.blocks,
      replace: (versions, signal) => this.#replace(versions, signal),
      confirm: (blocks) => this.#confirm(blocks),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#running?.catch(() => undefined)
    try {
      if (this.#failure === undefined) await this.#keepAndClose()
    } catch (err) {
      // The bytes are fetched again; the reason for closing must not be hidden by this.
      this.#context.log.warn({ key: this.#key, err }, 'partial closed without its last bytes')
    } finally {
      this.#observer.closed()
    }
  }

  async #keepAndClose(): Promise<void> {
    try {
      await this.#writer.keepForResume()
    } finally {
      await this.#writer.close()
    }
  }

  /** The bytes are wrong: those that changed since they arrived are missing again. @throws ArchiveError PARTIAL_DAMAGED */
  async #forgetDamage(signal: AbortSignal): Promise<void> {
    const { layout } = this.#context
    const undamaged = await this.#writer.undamaged(signal)
    const kept = [...undamaged.values()].reduce((sum, { length }) => sum + length, 0)
    if (kept === this.#size) return
    await this.#reopenWith(undamaged)
    const shown = layout.shown(layout.partialFile(this.#key))
    throw new ArchiveError('PARTIAL_DAMAGED', `${shown}: ${this.#size - kept} bytes are not what arrived`, {
      hint: 'Only these are fetched again. Should it repeat, look at the disk and the memory of this machine.',
      details: { path: shown, damagedBytes: this.#size - kept },
    })
  }

  async #use(opened: OpenedPartial): Promise<void> {
    this.#writer = await openWriter(this.#context, this.#key, opened)
    this.#opened = opened
  }

  /** A stop need not make blocks come again that came twice alike. */
  async #confirm(indices: readonly number[]): Promise<void> {
    const { layout } = this.#context
    const { blocks, journal } = this.#opened
    for (const index of indices) blocks.confirm(index)
    const again = indices.map((index) => [index, { ...blocks.arrivedOf(index), isConfirmed: false }] as const)
    await onDisk(layout, layout.pieceJournal(this.#key), () => journal.append(again))
  }

  /** Writes other versions of blocks. A kill meanwhile leaves blocks that are missing. */
  async #replace(versions: NewVersions, signal: AbortSignal): Promise<void> {
    this.#assertUsable()
    const { layout } = this.#context
    const replace = async (): Promise<void> => {
      // Opening it again would take it back from whoever took it over.
      await this.#writer.seal()
      this.#observer.changing()
      const { blocks } = this.#opened
      const all = Array.from({ length: blocks.count }, (_, index) => [index, blocks.arrivedOf(index)] as const)
      await this.#reopenWith(new Map(all.filter(([index]) => !versions.has(index))))
      for (const [index, bytes] of versions) await this.#writeBlock(blocks.startOf(index), bytes, signal)
    }
    await this.#alone(() => onDisk(layout, layout.partialFile(this.#key), replace))
  }

  /** Nothing is written where another block is missing: then more was lost, and all of it is fetched. */
  async #writeBlock(start: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const range = await this.#writer.claim(bytes.length)
    try {
      if (range?.start !== start) return
      while (range.position < range.end) {
        await range.room(signal)
        const part = range.view()!
        part.set(bytes.subarray(range.position - start, range.position - start + part.length))
        range.filled(part.length)
      }
    } finally {
      range?.release()
    }
  }

  /** Closes the file and opens it again as if only these blocks had come. */
  async #reopenWith(arrived: ReadonlyMap<number, Arrived>): Promise<void> {
    const { layout } = this.#context
    const { blockBytes } = this.#writer
    await this.#writer.close()
    try {
      const head = { key: this.#key, size: this.#size, blockBytes }
      await (await PieceJournal.create(layout.pieceJournal(this.#key), head, arrived)).close()
      await this.#use(await openOrResume(this.#context, this.#key, this.#size))
    } catch (error) {
      this.#failure = await storeError(layout, layout.partialFile(this.#key), error)
      throw this.#failure
    }
  }

  #assertUsable(): void {
    invariant(!this.#isClosed, 'the partial is open')
    const failure = this.#failure ?? this.#writer.failure
    if (failure !== undefined) throw failure
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    invariant(this.#running === undefined, 'one call at a time on a partial')
    const running = work()
    this.#running = running
    try {
      return await running
    } finally {
      this.#running = undefined
    }
  }
}

/** Digests as the pool computed them, checked. */
export function brandDigests(found: FileDigests): Digests {
  const sha256 = parseSha256(found.sha256)
  const gitOid = found.gitOid === undefined ? undefined : parseGitOid(found.gitOid)
  invariant(sha256 !== undefined && (gitOid === undefined) === (found.gitOid === undefined), 'the pool returns digests')
  return { sha256, gitOid, size: found.size }
}

async function openWriter(context: PartialContext, key: ContentKey, opened: OpenedPartial): Promise<PartialWriter> {
  try {
    return await PartialWriter.open(context, key, opened)
  } catch (error) {
    await opened.handle.close()
    await opened.journal.close()
    throw error
  }
}
