import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { OPEN_EXISTING } from './fs-durable.ts'
import { BlockMemory } from './block-memory.ts'
import type { FileIdentity, GitOidWish, HashRequest, HashResult, Span } from './hash-files-worker.ts'
import { HashWorker } from './hash-worker.ts'

/** Digests of a file's bytes in lower-case hex. */
export interface FileDigests {
  readonly sha256: string
  /** Git's blob SHA-1; undefined where it was not asked for. */
  readonly gitOid: string | undefined
  readonly size: number
}

/** Digests of a file, and the CRC-32 of each block of it; the last may be shorter. */
export interface BlockDigests extends FileDigests {
  readonly crcs: Uint32Array
}

/** A run of bytes of a file and its CRC-32. */
export interface Piece {
  readonly length: number
  readonly crc: number
}

/**
 * Hashes a file from its beginning on while it is written: from the memory its bytes arrived in, or read from the file.
 * What was hashed may not change afterwards. Calls of `addBytes` may overlap, others wait for those before them.
 */
export interface FileFollower {
  /** The next bytes, still in the pool's memory, which nobody may change before this has ended. @throws errno errors */
  addBytes(spans: readonly Span[]): Promise<void>
  /** Reads the file up to there. @throws errno errors; EIO where it ends before */
  readTo(to: number, signal: AbortSignal): Promise<void>
  /** The file that is being read, to compare with the one that is being written. @throws errno errors */
  identity(signal: AbortSignal): Promise<FileIdentity>
  /** Of all bytes so far; the last call. @throws errno errors */
  digests(signal: AbortSignal): Promise<FileDigests>
  close(): void
}

interface HashOptions {
  readonly onBytes?: (done: number) => void
  readonly gitOid?: GitOidWish
}

/** Small enough that asking a worker costs more than the hash. */
const INLINE_BYTES = 256 * 1024
/** What a worker does for one file before another has its turn, and at most after an abort. */
const SLICE_BYTES = 32 * 1024 * 1024
const MAX_SESSIONS = 256

/**
 * Reads files in a few worker threads (at most two) with one reused buffer each; files share a worker in turns of
 * 32 MiB. Threads start when first needed and do not keep the process alive.
 */
export class HashPool implements AsyncDisposable {
  /** Blocks that the threads see, for bytes on their way to a file. */
  readonly memory = new BlockMemory()
  readonly #workers: HashWorker[] = []
  readonly #maxWorkers: number
  /** For files that arrive: the sockets want a processor, too. */
  readonly #maxFollowing: number
  #nextSession = 1
  #isClosed = false

  constructor(maxWorkers: 1 | 2 = 2) {
    this.#maxWorkers = maxWorkers
    this.#maxFollowing = availableParallelism() < 4 ? 1 : maxWorkers
  }

  /**
   * Digests of a regular file as it is on disk now, with git's only where somebody may promise it unless it is asked for;
   * links are not followed.
   * @param options.onBytes told the bytes done so far
   * @throws errno errors (ELOOP for a link, EINVAL for no regular file, EIO also when it shrank meanwhile)
   */
  async hashFile(path: string, signal: AbortSignal, options: HashOptions = {}): Promise<FileDigests> {
    const { onBytes, gitOid = 'if-small' } = options
    signal.throwIfAborted()
    const small = await hashSmallFile(path)
    if (small !== undefined) {
      onBytes?.(small.size)
      return small
    }
    const session = this.#openSession(path, { mode: 'digest', size: undefined, gitOid, isDirect: false })
    try {
      const { size } = await session.identity(signal)
      await session.readTo(size, signal, onBytes)
      return await session.digests(signal)
    } finally {
      session.close()
    }
  }

  /** As `hashFile`, with the CRC-32 of each block of so many bytes, read once for both. @throws errno errors */
  async hashBlocks(path: string, blockBytes: number, signal: AbortSignal): Promise<BlockDigests> {
    signal.throwIfAborted()
    const how = { mode: 'digest', size: undefined, gitOid: 'if-small', isDirect: false, blockBytes } as const
    const session = this.#openSession(path, how)
    try {
      const { size } = await session.identity(signal)
      await session.readTo(size, signal)
      return await session.blockDigests(signal)
    } finally {
      session.close()
    }
  }

  /** Which pieces of a file, in order from its beginning, no longer have their CRC-32. @throws errno errors */
  async findBadPieces(path: string, pieces: readonly Piece[], signal: AbortSignal): Promise<number[]> {
    signal.throwIfAborted()
    const bad: number[] = []
    const session = this.#openSession(path, { mode: 'crc', size: undefined, gitOid: 'if-small', isDirect: false })
    try {
      let end = 0
      for (const [index, piece] of pieces.entries()) {
        end += piece.length
        const { position, crc } = await session.slice(end, signal)
        if (position !== end || crc !== piece.crc) bad.push(index)
      }
      return bad
    } finally {
      session.close()
    }
  }

  /** Starts to hash a file of `size` bytes that is still being written; `isDirect`: past the page cache. */
  follow(
    path: string,
    { size, gitOid, isDirect }: { readonly size: number; readonly gitOid: GitOidWish; readonly isDirect: boolean },
  ): FileFollower {
    return this.#openSession(path, { mode: 'digest', size, gitOid, isDirect }, this.#maxFollowing)
  }

  /** Ends the threads; what is running rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #openSession(
    path: string,
    how: Omit<Extract<HashRequest, { kind: 'open' }>, 'kind' | 'session' | 'path'>,
    maxWorkers = this.#maxWorkers,
  ): HashSession {
    if (this.#isClosed) throw new Error('the hash pool is closed')
    const sessions = this.#workers.reduce((sum, worker) => sum + worker.sessions, 0)
    if (sessions >= MAX_SESSIONS) throw new Error(`more than ${MAX_SESSIONS} files are hashed at once`)
    return new HashSession(this.#leastBusyWorker(maxWorkers), {
      kind: 'open',
      session: this.#nextSession++,
      path,
      ...how,
    })
  }

  #leastBusyWorker(maxWorkers: number): HashWorker {
    for (const worker of this.#workers.filter((each) => each.isStopped)) {
      this.#workers.splice(this.#workers.indexOf(worker), 1)
    }
    const workers = this.#workers.slice(0, maxWorkers)
    const least = workers.toSorted((a, b) => a.sessions - b.sessions)[0]
    if (least !== undefined && (least.sessions === 0 || workers.length >= maxWorkers)) return least
    const worker = new HashWorker(this.memory.buffer)
    this.#workers.push(worker)
    return worker
  }
}

async function hashSmallFile(path: string): Promise<FileDigests | undefined> {
  await using handle = await open(path, OPEN_EXISTING)
  const facts = await handle.stat()
  if (!facts.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL', errno: -22 })
  return facts.size > INLINE_BYTES ? undefined : hashBytes(await handle.readFile())
}

/** Both digests of bytes in memory. */
export function hashBytes(bytes: Uint8Array): FileDigests {
  return {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    gitOid: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
    size: bytes.length,
  }
}

/** One open file in a worker. An aborted call leaves the session fit only to be closed. */
class HashSession implements FileFollower {
  readonly #worker: HashWorker
  readonly #session: number
  readonly #opened: Promise<FileIdentity>
  #position = 0

  constructor(worker: HashWorker, request: Extract<HashRequest, { kind: 'open' }>) {
    this.#worker = worker
    this.#session = request.session
    this.#opened = worker.ask(request).then((result) => expectKind(result, 'opened').identity)
    // Whoever asks for anything gets this error; nobody may ask.
    this.#opened.catch(() => undefined)
  }

  identity(signal: AbortSignal): Promise<FileIdentity> {
    return untilAborted(this.#opened, signal)
  }

  async slice(to: number, signal: AbortSignal): Promise<{ position: number; crc: number }> {
    await this.identity(signal)
    const result = await untilAborted(this.#worker.ask({ kind: 'slice', session: this.#session, to }), signal)
    const sliced = expectKind(result, 'sliced')
    this.#position = sliced.position
    return sliced
  }

  async addBytes(spans: readonly Span[]): Promise<void> {
    await this.#opened
    const result = await this.#worker.ask({ kind: 'bytes', session: this.#session, spans })
    this.#position = expectKind(result, 'sliced').position
  }

  async readTo(to: number, signal: AbortSignal, onBytes?: (done: number) => void): Promise<void> {
    while (this.#position < to) {
      const end = Math.min(to, this.#position + SLICE_BYTES)
      const { position } = await this.slice(end, signal)
      if (position !== end) throw Object.assign(new Error('the file ends too early'), { code: 'EIO', errno: -5 })
      onBytes?.(position)
    }
  }

  async digests(signal: AbortSignal): Promise<FileDigests> {
    const { sha256, gitOid, size } = await this.blockDigests(signal)
    return { sha256, gitOid, size }
  }

  async blockDigests(signal: AbortSignal): Promise<BlockDigests> {
    await this.identity(signal)
    const result = await untilAborted(this.#worker.ask({ kind: 'digest', session: this.#session }), signal)
    const { sha256, gitOid, size, crcs } = expectKind(result, 'digests')
    return { sha256, gitOid, size, crcs: Uint32Array.from(crcs) }
  }

  close(): void {
    this.#worker.end(this.#session)
  }
}

function expectKind<K extends HashResult['kind']>(result: HashResult, kind: K): Extract<HashResult, { kind: K }> {
  if (result.kind !== kind) throw new Error(`the hash worker answered ${result.kind} instead of ${kind}`)
  return result as Extract<HashResult, { kind: K }>
}

/** The promise's outcome, or the signal's reason when that comes first. Leaves no listener behind. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
