/** Which request goes where. */
import { refusalFor, revisionNotFound } from './errors.ts'
import { infoRoute } from './info-route.ts'
import { listRoute } from './list-route.ts'
import { errorReply, redirectReply, textReply, type Reply } from './reply.ts'
import { findCommit, headOf, type Commit, type RepoState } from './repo-state.ts'
import { decodeOnce, type HubContext, type HubRequest } from './request.ts'
import { pageRoute, rawRoute, resolveCacheRoute, resolveRoute } from './resolve-route.ts'
import { siteRoute } from './site-routes.ts'
import { pathsInfoRoute, treeRoute, treeSizeRoute } from './tree-route.ts'
import { commitsRoute, compareRoute, discussionsRoute, refsRoute } from './history-routes.ts'
import { xetTokenRoute } from './xet.ts'
import type { RepoType } from './types.ts'
import { lookUp } from './world-state.ts'

const TYPES: Record<string, RepoType | undefined> = { models: 'model', datasets: 'dataset', spaces: 'space' }
const MOST_REVISION_PARTS = 6
const REVISION_VERBS = new Set(['revision', 'tree', 'treesize', 'commits', 'paths-info'])

/** The answer of the Hub origin. */
export async function hubRoute(context: HubContext, request: HubRequest): Promise<Reply> {
  const [first, second] = request.segments
  if (first !== 'api') return fileRoute(context, request)
  if (second === 'resolve-cache') return cacheRoute(context, request)
  const type = TYPES[second ?? '']
  if (type === undefined) return siteRoute(context, request)
  if (request.segments.length === 2) return listRoute(context, request, type)
  const found = openRepo(context, request, { type, from: 2, what: 'meta' })
  return 'reply' in found ? found.reply : repoRoute(context, request, found)
}

async function repoRoute(context: HubContext, request: HubRequest, found: Found): Promise<Reply> {
  const { repo, rest } = found
  const [verb] = rest
  if (verb === undefined) return infoRoute(request, repo, headOf(repo))
  if (verb === 'refs') return refsRoute(request, repo)
  if (verb === 'auth-check') return refusalFor(repo, request.caller, 'file') ?? textReply(200, 'OK')
  if (verb === 'discussions') return discussionsRoute(repo, request, rest[1])
  if (verb === 'xet-read-token') return refusalFor(repo, request.caller, 'file') ?? xetTokenRoute(context)
  if (verb === 'compare') return compareRoute(repo, rest.slice(1).join('/'))
  return REVISION_VERBS.has(verb) ? revisionRoute(context, request, found) : noSuchPage()
}

async function revisionRoute(context: HubContext, request: HubRequest, { repo, rest }: Found): Promise<Reply> {
  const at = revisionAt(repo, rest.slice(1))
  if ('reply' in at) return at.reply
  const { commit, path } = at
  switch (rest[0] ?? '') {
    case 'revision':
      return infoRoute(request, repo, commit)
    case 'tree':
      return treeRoute(context, request, { repo, commit, path })
    case 'treesize':
      return treeSizeRoute(commit, path)
    case 'commits':
      return commitsRoute(context, request, repo, commit)
    default:
      return request.method === 'POST' ? pathsInfoRoute(request, repo, commit) : noSuchPage()
  }
}

async function fileRoute(context: HubContext, request: HubRequest): Promise<Reply> {
  const prefixed = TYPES[request.segments[0] ?? '']
  const type = prefixed === undefined || prefixed === 'model' ? 'model' : prefixed
  const found = openRepo(context, request, { type, from: type === 'model' ? 0 : 1, what: 'file' })
  if ('reply' in found) return found.reply
  const { repo, rest } = found
  const [verb] = rest
  if (verb === undefined || verb === 'blob' || verb === 'tree') return pageRoute(repo.id)
  if (verb !== 'resolve' && verb !== 'raw') return noSuchPage()
  const at = revisionAt(repo, rest.slice(1))
  if ('reply' in at) return at.reply
  if (verb === 'raw') return rawRoute(request, at.commit, at.path)
  return resolveRoute(context, request, { repo, commit: at.commit, path: at.path })
}

async function cacheRoute(context: HubContext, request: HubRequest): Promise<Reply> {
  const type = TYPES[request.segments[2] ?? '']
  if (type === undefined) return noSuchPage()
  const found = openRepo(context, request, { type, from: 3, what: 'file' })
  if ('reply' in found) return found.reply
  const [revision = '', ...parts] = found.rest
  const path = decodeOnce(parts.join('/'))
  return path === undefined ? badEncoding() : resolveCacheRoute(request, { repo: found.repo, revision, path })
}

interface Found {
  repo: RepoState
  /** The encoded parts after the id. */
  rest: readonly string[]
}

/** Finds the repo a path names, sends renamed and other-case names on, and refuses callers without rights. */
function openRepo(
  context: HubContext,
  request: HubRequest,
  where: { type: RepoType; from: number; what: 'meta' | 'file' },
): Found | { reply: Reply } {
  const { segments, caller } = request
  const parts = segments.slice(where.from)
  const length = parts.length === 1 || lookUp(context.state, where.type, parts[0] ?? '') !== undefined ? 1 : 2
  const id = decodeOnce(parts.slice(0, length).join('/'))
  if (id === undefined) return { reply: badEncoding() }
  const repo = lookUp(context.state, where.type, id)
  const rest = parts.slice(length)
  if (repo !== undefined && repo.id !== id) {
    const target = ['', ...segments.slice(0, where.from), repo.id, ...rest].join('/')
    return { reply: redirectReply(307, request.rawQuery === '' ? target : `${target}?${request.rawQuery}`) }
  }
  const refusal = refusalFor(repo, caller, where.what)
  if (refusal !== undefined || repo === undefined) return { reply: refusal ?? errorReply(404, 'Repository not found') }
  return { repo, rest }
}

/** Splits `{rev}/{path}`; the revision may be one encoded part or several plain ones, such as `refs/pr/1`. */
function revisionAt(repo: RepoState, parts: readonly string[]): { commit: Commit; path: string } | { reply: Reply } {
  for (let length = 1; length <= Math.min(parts.length, MOST_REVISION_PARTS); length++) {
    const revision = decodeOnce(parts.slice(0, length).join('/'))
    const path = decodeOnce(parts.slice(length).join('/'))
    if (revision === undefined || path === undefined) return { reply: badEncoding() }
    const commit = findCommit(repo, revision)
    if (commit !== undefined) return { commit, path }
  }
  return { reply: revisionNotFound(decodeOnce(parts[0] ?? '') ?? '') }
}

function noSuchPage(): Reply {
  return errorReply(404, 'Sorry, we can’t find the page you are looking for.')
}

function badEncoding(): Reply {
  return errorReply(400, 'Bad request: malformed percent-encoding')
}
