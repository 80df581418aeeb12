// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, read } from 'node:fs'
import { promisify } from 'node:util'
import { parentPort, threadName, workerData, type MessagePort } from 'node:worker_threads'
import { crc32 } from 'node:zlib'

export const HASH_THREAD = 'weightvault-hash'

/** What the pool asks for, done in order. Sessions take turns by the slice, so none waits for a whole file. */
export type HashRequest =
  | {
      kind: 'open'
      session: number
      path: string
      mode: 'digest' | 'crc'
      size: number | undefined
      gitOid: GitOidWish
      /** Read it past the page cache, where that can be: what was written so is not in there. */
      isDirect: boolean
      /** The CRC-32 of each run of so many bytes is wanted with the digests, too. */
      blockBytes?: number | undefined
    }
  | { kind: 'slice'; session: number; to: number }
  /** The next bytes of the file, taken from the shared memory instead of the file. */
  | { kind: 'bytes'; session: number; spans: readonly Span[] }
  | { kind: 'digest'; session: number }
  | { kind: 'close'; session: number }

/** `id` is not looked at where there is no answer. */
export interface HashMessage {
  readonly id: number
  readonly request: HashRequest
}

/** Whether git's blob id is computed, too; `if-small`: for content that need not be in LFS. */
export type GitOidWish = 'always' | 'if-small'

/** Larger content is in LFS on every Hub, so nobody promises its git id. */
const GIT_OID_BYTES = 16 * 1024 * 1024

function wantsGitOid(wish: GitOidWish, size: number): boolean {
  return wish === 'always' || size <= GIT_OID_BYTES
}

/** A run of the shared memory. */
export interface Span {
  readonly offset: number
  readonly length: number
}

export interface FileIdentity {
  readonly size: number
  readonly dev: bigint
  readonly ino: bigint
}

export type HashResult =
  | { kind: 'opened'; identity: FileIdentity }
  /** `position` is short of the slice's end where the file ends before. */
  | { kind: 'sliced'; position: number; crc: number }
  | { kind: 'digests'; sha256: string; gitOid: string | undefined; size: number; crcs: readonly number[] }
  | {
      kind: 'failed'
      message: string
      code: string | undefined
      errno: number | undefined
      syscall: string | undefined
    }

export interface HashReply {
  readonly id: number
  readonly result: HashResult
}

interface Session {
  readonly fd: number
  /** The same file past the page cache. */
  readonly directFd: number | undefined
  isDirectRefused: boolean
  readonly sha256: Hash | undefined
  readonly sha1: Hash | undefined
  readonly blockBytes: number | undefined
  /** Of the blocks up to `position`; the last may be unfinished. */
  readonly crcs: number[]
  position: number
}

const sessions = new Map<number, Session>()
const READ_BYTES = 1024 * 1024
const SECTOR_BYTES = 4096
/** While one is hashed the others are read into: a disk that is asked for one thing at a time rests in between. */
const READ_BUFFERS = 3
let buffers: readonly Uint8Array[] | undefined
const readAt = promisify(read)

/** The compiler knows this global only together with those of a browser. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }

/** This memory begins on a page, as direct I/O demands. */
function readBuffers(): readonly Uint8Array[] {
  const { buffer } = new WebAssembly.Memory({ initial: (READ_BUFFERS * READ_BYTES) / 65_536 })
  return Array.from({ length: READ_BUFFERS }, (_, index) => new Uint8Array(buffer, index * READ_BYTES, READ_BYTES))
}

/** Does one request; undefined for `close`, which has no answer. @throws errno errors */
async function answer(request: HashRequest, memory: SharedArrayBuffer): Promise<HashResult | undefined> {
  if (request.kind === 'open') return openSession(request)
  const session = sessions.get(request.session)
  if (request.kind === 'close') {
    sessions.delete(request.session)
    if (session !== undefined) closeSync(session.fd)
    if (session?.directFd !== undefined) closeSync(session.directFd)
    return undefined
  }
  if (session === undefined) throw new Error('no such hash session')
  if (request.kind === 'slice') return readSlice(session, request.to)
  if (request.kind === 'bytes') return addBytes(session, memory, request.spans)
  const sha256 = session.sha256?.digest('hex') ?? ''
  const { sha1, position: size, crcs } = session
  return { kind: 'digests', sha256, gitOid: sha1?.digest('hex'), size, crcs }
}

function openSession(request: Extract<HashRequest, { kind: 'open' }>): HashResult {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const fd = openSync(request.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const facts = fstatSync(fd, { bigint: true })
    if (!facts.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL', errno: -22 })
    const identity = { size: Number(facts.size), dev: facts.dev, ino: facts.ino }
    const hashes = request.mode === 'digest'
    const size = request.size ?? identity.size
    const withGitOid = hashes && wantsGitOid(request.gitOid, size)
    sessions.set(request.session, {
      fd,
      directFd: request.isDirect ? openDirect(request.path, identity) : undefined,
      isDirectRefused: false,
      sha256: hashes ? createHash('sha256') : undefined,
      sha1: withGitOid ? createHash('sha1').update(`blob ${size}\0`) : undefined,
      blockBytes: request.blockBytes,
      crcs: [],
      position: 0,
    })
    return { kind: 'opened', identity }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Undefined where the file system has no direct I/O, or the name has another file by now. */
function openDirect(path: string, { dev, ino }: FileIdentity): number | undefined {
  const { O_DIRECT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants as typeof constants & { O_DIRECT?: number }
  if (O_DIRECT === undefined) return undefined
  let fd: number | undefined
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_DIRECT)
    const facts = fstatSync(fd, { bigint: true })
    if (facts.dev === dev && facts.ino === ino) return fd
    closeSync(fd)
  } catch {
    if (fd !== undefined) closeSync(fd)
  }
  return undefined
}

/** A part of a file on its way into memory. */
interface Part {
  readonly into: Uint8Array
  readonly wanted: number
  readonly reading: Promise<number>
}

/** Hashes one part while the next ones are read. */
async function readSlice(session: Session, to: number): Promise<HashResult> {
  let crc = 0
  buffers ??= readBuffers()
  const free = [...buffers]
  const parts: Part[] = []
  let from = session.position
  try {
    for (;;) {
      while (from < to && free.length > 0) {
        const into = free.pop()!
        const wanted = Math.min(into.length, to - from)
        const reading = readPart(session, from, wanted, into)
        // Told when its turn comes, if it comes.
        reading.catch(() => undefined)
        parts.push({ into, wanted, reading })
        from += wanted
      }
      const part = parts[0]
      if (part === undefined) break
      const length = await part.reading
      const bytes = part.into.subarray(0, length)
      noteBlocks(session, bytes)
      if (session.sha256 === undefined) crc = crc32(bytes, crc)
      session.sha256?.update(bytes)
      session.sha1?.update(bytes)
      session.position += length
      // The file ends here, and what was asked for behind it is not there.
      if (length < part.wanted) break
      parts.shift()
      free.push(part.into)
    }
  } finally {
    // The next slice has the same buffers.
    await Promise.allSettled(parts.map(({ reading }) => reading))
  }
  return { kind: 'sliced', position: session.position, crc }
}

/** Adds bytes that begin at the session's position to the CRC-32 of their blocks. */
function noteBlocks({ blockBytes, crcs, position }: Session, part: Uint8Array): void {
  if (blockBytes === undefined) return
  for (let at = 0; at < part.length;) {
    const index = Math.floor((position + at) / blockBytes)
    const end = Math.min(part.length, (index + 1) * blockBytes - position)
    crcs[index] = crc32(part.subarray(at, end), crcs[index] ?? 0)
    at = end
  }
}

/** Reads `wanted` bytes from `position` on; fewer only where the file ends before. @throws errno errors */
async function readPart(session: Session, position: number, wanted: number, into: Uint8Array): Promise<number> {
  let length = 0
  while (length < wanted) {
    const bytesRead = await readOnce(session, position + length, into.subarray(length, wanted))
    if (bytesRead === 0) break
    length += bytesRead
  }
  return length
}

async function readOnce(session: Session, position: number, into: Uint8Array): Promise<number> {
  const direct = session.directFd
  // Whole sectors only: the end of the file goes the common way.
  const sectors = into.length - (into.length % SECTOR_BYTES)
  if (direct !== undefined && !session.isDirectRefused && position % SECTOR_BYTES === 0 && sectors > 0) {
    try {
      return (await readAt(direct, into, 0, sectors, position)).bytesRead
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
      // Closed with the session: others may be reading from it.
      session.isDirectRefused = true
    }
  }
  return (await readAt(session.fd, into, 0, into.length, position)).bytesRead
}

function addBytes(session: Session, memory: SharedArrayBuffer, spans: readonly Span[]): HashResult {
  for (const { offset, length } of spans) {
    const bytes = new Uint8Array(memory, offset, length)
    session.sha256?.update(bytes)
    session.sha1?.update(bytes)
    session.position += length
  }
  return { kind: 'sliced', position: session.position, crc: 0 }
}

function failure(error: unknown): HashResult {
  const facts = error as Partial<NodeJS.ErrnoException>
  return {
    kind: 'failed',
    message: String(facts.message),
    code: facts.code,
    errno: facts.errno,
    syscall: facts.syscall,
  }
}

function serve(port: MessagePort, memory: SharedArrayBuffer): void {
  async function respond({ id, request }: HashMessage): Promise<void> {
    const result = await answer(request, memory).catch(failure)
    if (result !== undefined) port.postMessage({ id, result } satisfies HashReply)
  }
  let last = Promise.resolve()
  port.on('message', (message: HashMessage) => {
    last = last.then(() => respond(message))
  })
}

// The thread that asks imports this file, too.
if (parentPort !== null && threadName === HASH_THREAD) serve(parentPort, workerData as SharedArrayBuffer)
