import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseSha256 } from '../domain/digest.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import type { BufferPool } from '../lib/buffer-pool.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import { commitHeaders } from './api-answers.ts'
import type { ArchiveView } from './archive-view.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { HeldBytes } from './held-bytes.ts'
import type { MissingFiles } from './missing-files.ts'
import { MirrorError } from './mirror-error.ts'
import type { OllamaDoor } from './ollama-door.ts'
import { openSnapshot, type AccessRule, type OpenedSnapshot } from './open-snapshot.ts'
import { lfsPointer } from './repo-json.ts'
import { refOf, splitRevision, TYPE_OF_WORD } from './request-target.ts'
import { sendFile, type FileAnswer } from './send-file.ts'
import { etagOf, type ViewFile } from './snapshot-view.ts'

/** What the routes of files work with. */
export interface FileDeps {
  readonly view: ArchiveView
  readonly held: HeldBytes
  readonly pool: BufferPool
  readonly door: OllamaDoor
  readonly found: FoundFiles
  /** Undefined where nothing is fetched for visitors. */
  readonly missing: MissingFiles | undefined
}

/** One file at a revision, as an address names it. */
export interface FileTarget {
  readonly route: FileRoute
  readonly ref: RepoRef
  readonly revision: string
  readonly path: string
}

interface FileRoute {
  readonly name: string
  readonly rule: AccessRule
  /** Matches the decoded segments of an address. */
  read(segments: readonly string[]): Omit<FileTarget, 'route'> | undefined
}

/** Addresses of files. They are answered before any framework: bodies are streamed and HEAD is exact. */
export const FILE_ROUTES: readonly FileRoute[] = [
  { name: 'resolve', rule: 'files', read: (segments) => readFileTarget(segments, 'resolve') },
  { name: 'raw', rule: 'files', read: (segments) => readFileTarget(segments, 'raw') },
  { name: 'resolve-cache', rule: 'files', read: readCacheTarget },
  { name: 'blobs', rule: 'files', read: readBlobTarget },
]

/** The file that an address names; undefined for an address of something else. */
export function fileTargetOf(segments: readonly string[]): FileTarget | undefined {
  for (const route of FILE_ROUTES) {
    const target = route.read(segments)
    if (target !== undefined) return { route, ...target }
  }
  return undefined
}

/** `/owner/name/resolve/revision/path`, with `datasets/` or `spaces/` in front for those. */
function readFileTarget(segments: readonly string[], word: string): Omit<FileTarget, 'route'> | undefined {
  if (segments[0] === 'api' || segments[0] === 'v2') return undefined
  const type = segments[0] === 'models' ? undefined : TYPE_OF_WORD.get(segments[0] ?? '')
  const [owner, name, keyword, ...rest] = type === undefined ? segments : segments.slice(1)
  if (keyword !== word) return undefined
  const ref = refOf(type ?? 'model', owner, name)
  return ref && { ref, ...splitRevision(rest) }
}

/** Where the Hub redirects small files to; a client may have kept such an address. */
function readCacheTarget(segments: readonly string[]): Omit<FileTarget, 'route'> | undefined {
  const [api, cache, types, owner, name, revision, ...path] = segments
  if (api !== 'api' || cache !== 'resolve-cache' || revision === undefined) return undefined
  const type = TYPE_OF_WORD.get(types ?? '')
  const ref = type && refOf(type, owner, name)
  return ref && { ref, revision, path: path.join('/') }
}

/** `/v2/owner/name/blobs/sha256:…`: Ollama asks by digest; here it is the path. */
function readBlobTarget(segments: readonly string[]): Omit<FileTarget, 'route'> | undefined {
  const [v2, owner, name, blobs, digest, ...more] = segments
  if (v2 !== 'v2' || blobs !== 'blobs' || digest === undefined || more.length > 0) return undefined
  const ref = refOf('model', owner, name)
  return ref && { ref, revision: 'main', path: digest }
}

/** A file that an address led to a moment ago, with all that its answer needs but the bytes. */
interface FoundFile {
  readonly file: ViewFile
  readonly answer: Omit<FileAnswer, 'bytes'>
}

/** Which files addresses led to: the same ones are asked for again and again. */
export class FoundFiles {
  readonly #found = new BoundedCache<string, FoundFile>(10_000)

  get(url: string, visitor: Visitor, version: number): FoundFile | undefined {
    return this.#found.get(`${version} ${visitor.hasToken} ${url}`)
  }

  set(url: string, visitor: Visitor, version: number, found: FoundFile): void {
    this.#found.set(`${version} ${visitor.hasToken} ${url}`, found)
  }
}

/** Answers GET and HEAD of a file. @throws MirrorError, OtherName */
export async function serveFile(
  deps: FileDeps,
  target: FileTarget,
  visitor: Visitor,
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse },
): Promise<void> {
  const { request, response } = exchange
  const { version } = deps.view
  const found = await openWithFile(deps, target, visitor)
  if (target.route.name === 'blobs') {
    await sendFile(request, response, await blobAnswer(deps, found, target, visitor.origin), deps.pool)
    return
  }
  const file = fileOf(found, target)
  if (target.route.name === 'raw' && file.isLfs) {
    await sendFile(request, response, pointerAnswer(found, file), deps.pool)
    return
  }
  const answer = contentAnswer(deps, found, file, target)
  deps.found.set(request.url ?? '/', visitor, version, { file, answer })
  const bytes = deps.held.fresh(file) ?? (await deps.held.check(file, found.snapshot))
  await sendFile(request, response, { ...answer, bytes }, deps.pool)
}

/** The commit; where it lacks the file and files are fetched for visitors, the commit as it is sealed with it. */
async function openWithFile(deps: FileDeps, target: FileTarget, visitor: Visitor): Promise<OpenedSnapshot> {
  const wanted = { ...target, rule: target.route.rule }
  const opened = await openSnapshot(deps.view, wanted, visitor)
  const file = opened.snapshot.files.get(target.path)
  if (deps.missing === undefined || file === undefined || file.held) return opened
  if (!(await deps.missing.has(opened.snapshot.row, file.path))) return opened
  deps.view.expire()
  await deps.view.refresh()
  return openSnapshot(deps.view, wanted, visitor)
}

/** Bytes by their digest, where this repository has them: of a file, or made for Ollama. */
async function blobAnswer(
  deps: FileDeps,
  opened: OpenedSnapshot,
  target: FileTarget,
  origin: string,
): Promise<FileAnswer> {
  const { snapshot } = opened
  const sha256 = target.path.startsWith('sha256:') ? parseSha256(target.path.slice('sha256:'.length)) : undefined
  const file = sha256 && [...snapshot.files.values()].find((one) => one.held && one.sha256 === sha256)
  const made = file === undefined && sha256 !== undefined ? await deps.door.madeBlob(snapshot, sha256) : undefined
  if (sha256 === undefined || (file === undefined && made === undefined)) {
    throw new MirrorError(
      404,
      'EntryNotFound',
      'This repository has no such blob',
      commitHeaders(opened.repo, snapshot),
    )
  }
  const headers = {
    ...commitHeaders(opened.repo, snapshot),
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': target.path,
    // Ollama takes a 200 only with an address to fetch the parts from.
    Location: `${origin}/v2/${opened.repo.ref.name}/blobs/${target.path}`,
  }
  const etag = `"${sha256}"`
  if (file === undefined) return { ...inMemory(made!), etag, headers }
  const bytes = await deps.held.check(file, snapshot)
  return { size: file.size, etag, headers, bytes, open: () => deps.held.open(file, snapshot) }
}

function inMemory(bytes: Buffer): Pick<FileAnswer, 'size' | 'bytes' | 'open'> {
  return { size: bytes.length, bytes, open: () => Promise.reject(new Error('the content is in memory')) }
}

/** Looked up among the names of the manifest, and never made part of a path. */
function fileOf(opened: OpenedSnapshot, { path, ref }: FileTarget): ViewFile {
  const headers = commitHeaders(opened.repo, opened.snapshot)
  const file = opened.snapshot.files.get(path)
  if (file === undefined) throw new MirrorError(404, 'EntryNotFound', 'Entry not found', headers)
  if (file.held) return file
  const commit = opened.snapshot.commit.slice(0, 7)
  const message = `Entry not found: ${printRepo(ref)}@${commit} lists ${file.path}, but this archive does not hold it (${file.reason})`
  throw new MirrorError(404, 'EntryNotFound', message, headers)
}

function contentAnswer(
  deps: FileDeps,
  opened: OpenedSnapshot,
  file: ViewFile,
  target: FileTarget,
): Omit<FileAnswer, 'bytes'> {
  const linked = file.isLfs ? { 'X-Linked-Etag': etagOf(file), 'X-Linked-Size': String(file.size) } : undefined
  return {
    size: file.size,
    etag: etagOf(file),
    headers: { ...fileHeaders(opened, file, target.revision), ...linked },
    open: () => deps.held.open(file, opened.snapshot),
  }
}

/** What git stores for an LFS file. */
function pointerAnswer(opened: OpenedSnapshot, file: ViewFile): FileAnswer {
  const bytes = Buffer.from(lfsPointer(file.sha256 ?? '', file.size))
  return {
    ...inMemory(bytes),
    etag: `"${file.gitOid ?? ''}"`,
    headers: { ...fileHeaders(opened, file, ''), 'Content-Type': 'text/plain; charset=utf-8' },
  }
}

function fileHeaders(opened: OpenedSnapshot, file: ViewFile, revision: string): Record<string, string> {
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  // A commit never changes; `main` does. What needed a token must not end in a shared cache.
  const scope = opened.snapshot.gated === false ? 'public' : 'private'
  const isPinned = revision === opened.snapshot.commit
  return {
    ...commitHeaders(opened.repo, opened.snapshot),
    // Never a type that a browser would run or draw, whatever upstream put there.
    'Content-Type': file.isLfs ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    'Content-Disposition': `attachment; filename*=UTF-8''${encodeName(name)}`,
    'Cache-Control': isPinned ? `${scope}, max-age=31536000, immutable` : 'no-cache',
  }
}

/** RFC 8187: what is no attr-char is encoded. */
function encodeName(name: string): string {
  return encodeURIComponent(name).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
