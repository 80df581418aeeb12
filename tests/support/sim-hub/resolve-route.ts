/** `/{id}/resolve/{rev}/{path}`, `/{id}/raw/…`, and the second hop `/api/resolve-cache/…`. */
import { gzipSync } from 'node:zlib'
import { cdnLink } from './cdn.ts'
import { entryNotFound, revisionNotFound } from './errors.ts'
import { fileReply } from './file-reply.ts'
import { jsonReply, redirectReply, textReply, type Reply } from './reply.ts'
import { findCommit, type Commit, type RepoState } from './repo-state.ts'
import type { HubContext, HubRequest } from './request.ts'
import { bytesContent, fileBytes, fileIds, type StoredFile } from './stored-file.ts'

const XET_FILE_INFO = 'application/vnd.xet-fileinfo+json'
const TEXT_NAMES = /\.(md|txt|json|jinja|ya?ml|py|gitattributes|csv|jsonl|cfg|toml)$|(^|\/)(LICENSE|NOTICE|\.git\w+)$/i

/** Sends a client on to where the bytes are: resolve-cache for git files, the CDN for LFS files. */
export async function resolveRoute(
  context: HubContext,
  request: HubRequest,
  at: { repo: RepoState; commit: Commit; path: string },
): Promise<Reply> {
  const { repo, commit, path } = at
  const file = commit.entries.get(path)?.file
  if (file === undefined) return entryNotFound(commit.id)
  const { gitOid, lfs } = await fileIds(file)
  const common = { 'X-Repo-Commit': commit.id, 'Accept-Ranges': 'bytes', ...disposition(path) }
  if (lfs === undefined) {
    const cached = `/api/resolve-cache/${repo.type}s/${repo.id}/${commit.id}/${encodePath(path)}`
    const location = `${cached}?${encodeURIComponent(request.rawPath)}=&etag=${encodeURIComponent(`"${gitOid}"`)}`
    return redirectReply(307, location, { ...common, 'X-Linked-Etag': `"${gitOid}"` })
  }
  context.state.xetFiles.set(lfs.xetHash, file)
  const headers = {
    ...common,
    'X-Linked-Size': String(file.content.size),
    'X-Linked-Etag': `"${lfs.sha256}"`,
    'X-Xet-Hash': lfs.xetHash,
    'Cache-Control': 'no-store',
    Link: xetLinks(context, repo, commit, lfs.xetHash),
  }
  if (request.headers['accept']?.includes(XET_FILE_INFO) === true) {
    const reply = jsonReply({ hash: lfs.xetHash, size: file.content.size }, headers)
    reply.headers['Content-Type'] = XET_FILE_INFO
    return reply
  }
  const location = cdnLink(context, repo, file, lfs.xetHash)
  const isOllama = request.headers['user-agent']?.toLowerCase().startsWith('ollama/') === true
  return redirectReply(isOllama ? 307 : 302, location, headers)
}

/** The bytes git holds: of an LFS file its pointer. */
export async function rawRoute(request: HubRequest, commit: Commit, path: string): Promise<Reply> {
  const file = commit.entries.get(path)?.file
  if (file === undefined) return entryNotFound(commit.id)
  const { gitOid, lfs } = await fileIds(file)
  const content = lfs === undefined ? file.content : bytesContent(lfs.pointer)
  return fileReply(request, content, `"${gitOid}"`, { ...contentType(path), 'X-Repo-Commit': commit.id })
}

/** The second hop of a git file. */
export async function resolveCacheRoute(
  request: HubRequest,
  at: { repo: RepoState; revision: string; path: string },
): Promise<Reply> {
  const commit = /^[0-9a-f]{40}$/.test(at.revision) ? findCommit(at.repo, at.revision) : undefined
  if (commit === undefined) return revisionNotFound(at.revision)
  const file = commit.entries.get(at.path)?.file
  if (file === undefined || file.isLfs) return entryNotFound(commit.id)
  const { gitOid } = await fileIds(file)
  const etag = `"${gitOid}"`
  const headers = {
    ...contentType(at.path),
    ...disposition(at.path),
    'X-Repo-Commit': commit.id,
    Vary: 'Accept-Encoding',
  }
  if (matchesEtag(request.headers['if-none-match'], etag)) {
    return { status: 304, headers: { ETag: etag, 'X-Repo-Commit': commit.id }, body: { kind: 'none' } }
  }
  if (mayGzip(request, file)) {
    const bytes = gzipSync(fileBytes(file))
    const gzipped = { ...headers, ETag: `W/${etag}`, 'Content-Encoding': 'gzip' }
    return { status: 200, headers: gzipped, body: { kind: 'bytes', bytes }, isGzipped: true }
  }
  return fileReply(request, file.content, etag, headers)
}

/** `/{id}/blob/{rev}/{path}` and the front page of a repo: pages for people. */
export function pageRoute(title: string): Reply {
  const headers = { 'Content-Type': 'text/html; charset=utf-8' }
  return textReply(200, `<!doctype html><title>${title.replaceAll(/[&<>]/g, '')}</title>`, headers)
}

/** Percent-encodes a path, keeping its slashes. */
export function encodePath(path: string): string {
  return path.toWellFormed().split('/').map(encodeURIComponent).join('/')
}

function xetLinks(context: HubContext, repo: RepoState, commit: Commit, xetHash: string): string {
  const token = `${context.url}/api/${repo.type}s/${repo.id}/xet-read-token/${commit.id}`
  const reconstruction = `${context.cdnUrl}/v1/reconstructions/${xetHash}`
  return `<${token}>; rel="xet-auth", <${reconstruction}>; rel="xet-reconstruction-info"`
}

function disposition(path: string): Record<string, string> {
  const name = encodeURIComponent(path.toWellFormed().split('/').at(-1) ?? '')
  return { 'Content-Disposition': `inline; filename*=UTF-8''${name}; filename="${name}";` }
}

function contentType(path: string): Record<string, string> {
  return { 'Content-Type': TEXT_NAMES.test(path) ? 'text/plain; charset=utf-8' : 'application/octet-stream' }
}

function matchesEtag(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}

function mayGzip(request: HubRequest, file: StoredFile): boolean {
  if (request.headers['range'] !== undefined || file.content.size === 0 || !TEXT_NAMES.test(file.path)) return false
  return /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers['accept-encoding'] ?? '')
}
