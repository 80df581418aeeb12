// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32 } from 'node:zlib'

/** What the pool asks for. Slices of one session come in order; sessions take turns, so none waits for a whole file. */
export type HashRequest =
  | {
      kind: 'open'
      session: number
      path: string
      mode: 'digest' | 'crc'
      size: number | undefined
      gitOid: GitOidWish
    }
  | { kind: 'slice'; session: number; to: number }
  /** The next bytes of the file, taken from the shared memory instead of the file. */
  | { kind: 'bytes'; session: number; spans: readonly Span[] }
  | { kind: 'digest'; session: number }
  | { kind: 'close'; session: number }

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
  | { kind: 'digests'; sha256: string; gitOid: string | undefined; size: number }
  | {
      kind: 'failed'
      message: string
      code: string | undefined
      errno: number | undefined
      syscall: string | undefined
    }

export interface HashReply {
  readonly session: number
  readonly result: HashResult
}

interface Session {
  readonly fd: number
  readonly sha256: Hash | undefined
  readonly sha1: Hash | undefined
  position: number
}

const sessions = new Map<number, Session>()
const memory = workerData as SharedArrayBuffer
const buffer = Buffer.allocUnsafeSlow(1024 * 1024)

/** Does one request; undefined for `close`, which has no answer. @throws errno errors */
function answer(request: HashRequest): HashResult | undefined {
  if (request.kind === 'open') return openSession(request)
  const session = sessions.get(request.session)
  if (request.kind === 'close') {
    sessions.delete(request.session)
    if (session !== undefined) closeSync(session.fd)
    return undefined
  }
  if (session === undefined) throw new Error('no such hash session')
  if (request.kind === 'slice') return readSlice(session, request.to)
  if (request.kind === 'bytes') return addBytes(session, request.spans)
  const sha256 = session.sha256?.digest('hex') ?? ''
  return { kind: 'digests', sha256, gitOid: session.sha1?.digest('hex'), size: session.position }
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
      sha256: hashes ? createHash('sha256') : undefined,
      sha1: withGitOid ? createHash('sha1').update(`blob ${size}\0`) : undefined,
      position: 0,
    })
    return { kind: 'opened', identity }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function readSlice(session: Session, to: number): HashResult {
  let crc = 0
  while (session.position < to) {
    const wanted = Math.min(buffer.length, to - session.position)
    const bytesRead = readSync(session.fd, buffer, 0, wanted, session.position)
    if (bytesRead === 0) break
    const bytes = buffer.subarray(0, bytesRead)
    if (session.sha256 === undefined) crc = crc32(bytes, crc)
    session.sha256?.update(bytes)
    session.sha1?.update(bytes)
    session.position += bytesRead
  }
  return { kind: 'sliced', position: session.position, crc }
}

function addBytes(session: Session, spans: readonly Span[]): HashResult {
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

parentPort?.on('message', (request: HashRequest) => {
  let result: HashResult | undefined
  try {
    result = answer(request)
  } catch (error) {
    result = failure(error)
  }
  if (result !== undefined) parentPort?.postMessage({ session: request.session, result } satisfies HashReply)
})
