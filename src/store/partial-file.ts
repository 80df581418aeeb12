import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { FileDigests } from '../lib/hash-files.ts'
import type { Digests, PartialFile } from '../ports.ts'
import { PartialWriter } from './partial-writer.ts'
import { createPartial, type OpenedPartial, type PartialContext } from './resume-partial.ts'
import { onDisk, storeError } from './store-error.ts'

/** Proof that `finish` fsynced and hashed this very file; publishing wants to see it again. */
export interface FinishedPartial {
  readonly digests: Digests
  readonly dev: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
}

/** Who keeps the list of open and finished partials. */
export interface PartialObserver {
  finished(partial: FinishedPartial): void
  restarted(): void
  closed(): void
}

/** The partial file of one content key, over as many files on disk as it takes. */
export class PartialDownload implements PartialFile {
  readonly #context: PartialContext
  readonly #key: ContentKey
  readonly #size: number
  readonly #observer: PartialObserver
  #writer: PartialWriter
  #failure: Error | undefined
  #isClosed = false
  #running: Promise<unknown> | undefined

  constructor(
    context: PartialContext,
    key: ContentKey,
    size: number,
    opened: OpenedPartial,
    observer: PartialObserver,
  ) {
    this.#context = context
    this.#key = key
    this.#size = size
    this.#observer = observer
    this.#writer = new PartialWriter(context, key, size, opened)
  }

  get position(): number {
    return this.#writer.position
  }

  async append(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#assertUsable()
    invariant(this.position + chunk.length <= this.#size, `${this.#key} takes no more than ${this.#size} bytes`)
    await this.#alone(() => this.#writer.write(chunk))
  }

  async restart(): Promise<void> {
    invariant(!this.#isClosed, 'the partial is open')
    await this.#alone(async () => {
      this.#observer.restarted()
      try {
        if (this.#failure === undefined) await this.#writer.close()
        const opened = await createPartial(this.#context, this.#key, this.#size)
        this.#writer = new PartialWriter(this.#context, this.#key, this.#size, opened)
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
        this.#observer.finished({ digests, ...(await this.#writer.identity()) })
        return digests
      }),
    )
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
