import { open, type FileHandle } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import type { OpenBlob } from '../blob-port.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { isErrno, OPEN_EXISTING } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'
import { fixityFailed, storeError } from './store-error.ts'

/** Files whose identity is remembered; the oldest is forgotten and judged anew at its next use. */
const MOST_SEEN = 50_000
/** How far the clocks of a file server and of this machine may differ. */
const CLOCK_SLACK_MS = 5000n

/** What a file cannot change without being written, replaced, or tampered with. */
interface Identity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly nlink: bigint
}

/** Opens held blobs, and notices when one is no longer the file that was proven. */
export class BlobReader {
  readonly #layout: Layout
  readonly #digest: (sha256: Sha256, signal: AbortSignal) => Promise<{ readonly sha256: Sha256 }>
  readonly #seen = new Map<Sha256, Identity>()
  /** Files that were hashed and have other bytes: hashing them again for every visitor would find the same. */
  readonly #refused = new Map<Sha256, Identity>()
  readonly #hashing = new Map<Sha256, Promise<void>>()

  /** @param digest reads a blob from disk and hashes it */
  constructor(layout: Layout, digest: (sha256: Sha256, signal: AbortSignal) => Promise<{ readonly sha256: Sha256 }>) {
    this.#layout = layout
    this.#digest = digest
  }

  /** @throws ArchiveError FILE_UNKNOWN, FIXITY_FAILED, DISK_FAILED, ARCHIVE_MISSING_MARKER */
  async open(sha256: Sha256, size: number, provenAtMs: number, signal: AbortSignal): Promise<OpenBlob> {
    const path = this.#layout.blob(sha256)
    const shown = this.#layout.shown(path)
    await using stack = new AsyncDisposableStack()
    const handle = stack.use(await this.#openFile(sha256, path))
    const facts = await handle.stat({ bigint: true })
    if (!facts.isFile()) throw fixityFailed(shown, 'is no regular file')
    if (facts.size !== BigInt(size)) throw fixityFailed(shown, `has ${facts.size} bytes instead of ${size}`)
    if (!this.#isKnown(sha256, facts, provenAtMs)) await this.#prove(sha256, facts, signal)
    remember(this.#seen, sha256, facts)
    const closing = stack.move()
    return {
      size,
      read: async (buffer, position) => {
        try {
          return (await handle.read(buffer, 0, buffer.length, position)).bytesRead
        } catch (error) {
          throw await storeError(this.#layout, path, error)
        }
      },
      [Symbol.asyncDispose]: () => closing.disposeAsync(),
    }
  }

  async #openFile(sha256: Sha256, path: string): Promise<FileHandle> {
    try {
      return await open(path, OPEN_EXISTING)
    } catch (error) {
      const shown = this.#layout.shown(path)
      if (isErrno(error, 'ELOOP', 'ENXIO')) throw fixityFailed(shown, 'is no regular file', error)
      if (!isErrno(error, 'ENOENT')) throw await storeError(this.#layout, path, error)
      const failure = await storeError(this.#layout, path, error)
      if (failure instanceof ArchiveError && failure.code === 'ARCHIVE_MISSING_MARKER') throw failure
      throw new ArchiveError('FILE_UNKNOWN', `${shown} is not in the archive`, { cause: error, details: { sha256 } })
    }
  }

  /**
   * Whether this is the file that was proven. Another name for it (a restore by hard link) changes its ctime and nothing
   * else. One that is seen for the first time must not have been written after it was proven.
   */
  #isKnown(sha256: Sha256, facts: BigIntStats, provenAtMs: number): boolean {
    const before = this.#seen.get(sha256)
    if (before === undefined) return facts.mtimeMs <= BigInt(Math.floor(provenAtMs)) + CLOCK_SLACK_MS
    return isSameFile(facts, before) && (facts.ctimeNs === before.ctimeNs || facts.nlink !== before.nlink)
  }

  /** Hashes it once for everybody who waits. */
  async #prove(sha256: Sha256, facts: BigIntStats, signal: AbortSignal): Promise<void> {
    const refused = this.#refused.get(sha256)
    if (refused !== undefined && isSameFile(facts, refused) && facts.ctimeNs === refused.ctimeNs) {
      throw this.#otherBytes(sha256)
    }
    let hashing = this.#hashing.get(sha256)
    if (hashing === undefined) {
      hashing = this.#digest(sha256, signal).then((found) => {
        if (found.sha256 === sha256) return
        remember(this.#refused, sha256, facts)
        throw this.#otherBytes(sha256)
      })
      this.#hashing.set(sha256, hashing)
      void hashing.catch(() => undefined).finally(() => this.#hashing.delete(sha256))
    }
    await hashing
  }

  #otherBytes(sha256: Sha256): ArchiveError {
    return fixityFailed(this.#layout.shown(this.#layout.blob(sha256)), 'was changed: its bytes have another SHA-256')
  }
}

function isSameFile(facts: BigIntStats, before: Identity): boolean {
  const { dev, ino, size, mtimeNs } = before
  return facts.dev === dev && facts.ino === ino && facts.size === size && facts.mtimeNs === mtimeNs
}

function remember(files: Map<Sha256, Identity>, sha256: Sha256, facts: BigIntStats): void {
  const { dev, ino, size, mtimeNs, ctimeNs, nlink } = facts
  if (files.size >= MOST_SEEN) files.delete(files.keys().next().value!)
  files.set(sha256, { dev, ino, size, mtimeNs, ctimeNs, nlink })
}
