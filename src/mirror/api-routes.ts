import { Hono, type Context } from 'hono'
import type { SnapshotRow } from '../archive-rows.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { RepoRef, RepoType } from '../domain/repo.ts'
import type { HttpEnv } from '../lib/http-service.ts'
import { headerText } from '../lib/http-refusal.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import { jsonAnswer, type Answer } from './answer.ts'
import {
  commitHeaders,
  commitsAnswer,
  infoAnswer,
  listAnswer,
  listQuery,
  pathsAnswer,
  refsAnswer,
  treeAnswer,
  treeSizeAnswer,
} from './api-answers.ts'
import type { ArchiveView, ReadableArchive } from './archive-view.ts'
import { headersOf, type HotAnswers } from './hot-answers.ts'
import { MirrorError, notNow } from './mirror-error.ts'
import type { OllamaDoor } from './ollama-door.ts'
import { openSnapshot, OtherName, type AccessRule, type OpenedSnapshot } from './open-snapshot.ts'
import { readPaths } from './read-paths.ts'
import { siblingsJson } from './repo-json.ts'
import type { RepoList } from './repo-list.ts'
import { parseTarget, refOf, splitRevision, TYPE_OF_WORD, type RequestTarget } from './request-target.ts'

export interface ApiDeps {
  readonly archive: ReadableArchive
  readonly view: ArchiveView
  readonly list: RepoList
  readonly door: OllamaDoor
  readonly hot: HotAnswers
}

/** One question to a JSON route. */
interface Ask {
  readonly deps: ApiDeps
  readonly visitor: Visitor
  readonly target: RequestTarget
  readonly url: string
  /** Path as it was asked, for links. */
  readonly path: string
  readonly request: Request
}

interface ApiRoute {
  readonly method: 'GET' | 'POST'
  readonly pattern: string
  readonly rule: AccessRule
  readonly answer: (ask: Ask, rule: AccessRule) => Promise<Answer> | Answer
}

const TYPES = '/api/:types{(?:models|datasets|spaces)}'
const REPO = `${TYPES}/:owner/:name`

/** Every JSON route. A GET also answers HEAD. */
export const API_ROUTES: readonly ApiRoute[] = [
  { method: 'GET', pattern: '/api/whoami-v2', rule: 'anyone', answer: whoAmI },
  { method: 'GET', pattern: TYPES, rule: 'metadata', answer: list },
  { method: 'GET', pattern: REPO, rule: 'metadata', answer: async (ask, rule) => info(ask, rule) },
  { method: 'GET', pattern: `${REPO}/revision/*`, rule: 'metadata', answer: async (ask, rule) => info(ask, rule) },
  { method: 'GET', pattern: `${REPO}/tree/*`, rule: 'metadata', answer: tree },
  { method: 'GET', pattern: `${REPO}/treesize/*`, rule: 'metadata', answer: treeSize },
  { method: 'POST', pattern: `${REPO}/paths-info/*`, rule: 'metadata', answer: pathsInfo },
  { method: 'GET', pattern: `${REPO}/commits/*`, rule: 'metadata', answer: commits },
  { method: 'GET', pattern: `${REPO}/refs`, rule: 'metadata', answer: refs },
  { method: 'GET', pattern: `${REPO}/auth-check`, rule: 'files', answer: authCheck },
  { method: 'GET', pattern: `${REPO}/xet-read-token/*`, rule: 'anyone', answer: noXet },
  { method: 'GET', pattern: '/v2/:owner/:name/manifests/:tag', rule: 'files', answer: imageManifest },
]

/** The JSON routes as an app that is asked by `app.fetch`. */
export function createApi(deps: ApiDeps): Hono<{ Bindings: HttpEnv }> {
  const app = new Hono<{ Bindings: HttpEnv }>()
  for (const { method, pattern, rule, answer } of API_ROUTES) {
    app.on(method, pattern, async (context) => {
      const { visitor, incoming } = context.env
      const url = incoming.url ?? '/'
      const path = url.split('?')[0]!
      const ask: Ask = { deps, visitor, url, path, target: parseTarget(url), request: context.req.raw }
      await deps.view.refresh()
      return respond(context, await answer(ask, rule))
    })
  }
  app.notFound((context) => refuse(context, wrongRoute(context)))
  app.onError((error, context) => {
    if (error instanceof MirrorError) return refuse(context, error)
    if (error instanceof OtherName)
      return context.redirect(otherAddress(context.env.incoming.url ?? '/', error.ref), 307)
    if (error instanceof ArchiveError) return refuse(context, notNow(error, deps.archive.log))
    throw error
  })
  return app
}

function wrongRoute({ req }: Context<{ Bindings: HttpEnv }>): MirrorError {
  const isRead = req.method === 'GET' || req.method === 'HEAD'
  if (!isRead) return new MirrorError(405, 'MethodNotAllowed', 'This mirror is read-only', { Allow: 'GET, HEAD' })
  // A name without an owner (`/api/models/gpt2`) is one of the Hub's oldest repositories; none is archived under it.
  if (/^\/api\/(models|datasets|spaces)\/[^/]+$/.test(req.path))
    return new MirrorError(404, 'RepoNotFound', 'Repository not found')
  return new MirrorError(404, 'EntryNotFound', 'This mirror has no such route')
}

function respond(context: Context<{ Bindings: HttpEnv }>, answer: Answer): Response {
  const { visitor, incoming } = context.env
  const headers = headersOf(answer, visitor)
  if (incoming.headers['if-none-match'] === answer.etag) return new Response(null, { status: 304, headers })
  return new Response(new Uint8Array(answer.body), { status: 200, headers })
}

function refuse(_context: Context, error: MirrorError): Response {
  return Response.json(
    { error: error.message },
    {
      status: error.status,
      headers: {
        'X-Error-Code': error.code,
        'X-Error-Message': headerText(error.message),
        'Cache-Control': 'no-store',
        ...error.headers,
      },
    },
  )
}

/** The same address under the name that the repository has now: relative, so that clients keep their token with it. */
export function otherAddress(url: string, ref: RepoRef): string {
  const [path = '', query] = url.split(/\?(.*)/s)
  const parts = path.split('/')
  const isApi = parts[1] === 'api' || parts[1] === 'v2'
  const isResolveCache = isApi && parts[2] === 'resolve-cache'
  const hasType = TYPE_OF_WORD.has(parts[1] ?? '')
  const at = isResolveCache ? 4 : parts[1] === 'v2' ? 2 : isApi ? 3 : hasType ? 2 : 1
  parts.splice(at, 2, ...ref.name.split('/'))
  return `${parts.join('/')}${query === undefined ? '' : `?${query}`}`
}

function typeOf({ target }: Ask): RepoType {
  return TYPE_OF_WORD.get(target.segments[1] ?? '') ?? 'model'
}

/** The commit that an address names: `main` where it names none. */
async function opened(ask: Ask, rule: AccessRule): Promise<{ opened: OpenedSnapshot; path: string }> {
  const [, , owner, name, , ...rest] = ask.target.segments
  const ref = refOf(typeOf(ask), owner, name)
  if (ref === undefined) throw new MirrorError(404, 'RepoNotFound', 'This can be the name of no repository')
  const { revision, path } = rest.length === 0 ? { revision: 'main', path: '' } : splitRevision(rest)
  return { opened: await openSnapshot(ask.deps.view, { ref, revision, rule }, ask.visitor), path }
}

/** The answer for this address and visitor, made again when the archive has changed. */
async function cached(ask: Ask, make: () => Promise<Answer> | Answer): Promise<Answer> {
  const { visitor, url, deps } = ask
  const version = deps.view.version
  const known = deps.hot.get(url, visitor, version)
  if (known !== undefined) return known
  const answer = await make()
  deps.hot.set(url, visitor, version, answer)
  return answer
}

function list(ask: Ask): Promise<Answer> {
  return cached(ask, async () => {
    const { deps, visitor, target, path } = ask
    const repos = await deps.list.find(listQuery(typeOf(ask), target.query), visitor.hasToken)
    return listAnswer(repos, target.query, path, async ({ main }) => {
      const view = await deps.view.view(main)
      return siblingsJson(view.files.values(), false)
    })
  })
}

function info(ask: Ask, rule: AccessRule): Promise<Answer> {
  return cached(ask, async () => infoAnswer((await opened(ask, rule)).opened, ask.target.query))
}

function tree(ask: Ask, rule: AccessRule): Promise<Answer> {
  return cached(ask, async () => {
    const { opened: found, path } = await opened(ask, rule)
    return treeAnswer(found, path, ask.target.query, ask.path)
  })
}

function treeSize(ask: Ask, rule: AccessRule): Promise<Answer> {
  return cached(ask, async () => {
    const { opened: found, path } = await opened(ask, rule)
    return treeSizeAnswer(found, path)
  })
}

async function pathsInfo(ask: Ask, rule: AccessRule): Promise<Answer> {
  const { opened: found } = await opened(ask, rule)
  return pathsAnswer(found, await readPaths(ask.request))
}

function commits(ask: Ask, rule: AccessRule): Promise<Answer> {
  return cached(ask, async () => {
    const { opened: found } = await opened(ask, rule)
    const dateOf = async (row: SnapshotRow): Promise<string | undefined> =>
      (await ask.deps.view.view(row).catch(() => undefined))?.lastModified
    return commitsAnswer(found, ask.target.query, ask.path, dateOf)
  })
}

function refs(ask: Ask, rule: AccessRule): Promise<Answer> {
  return cached(ask, async () => refsAnswer((await opened(ask, rule)).opened))
}

async function authCheck(ask: Ask, rule: AccessRule): Promise<Answer> {
  await opened(ask, rule)
  return jsonAnswer({})
}

/** `GET /v2/owner/name/manifests/tag`, as Ollama and older llama.cpp ask. */
async function imageManifest(ask: Ask, rule: AccessRule): Promise<Answer> {
  const [, owner, name, , tag = 'latest'] = ask.target.segments
  const ref = refOf('model', owner, name)
  if (ref === undefined) throw new MirrorError(404, 'RepoNotFound', 'This can be the name of no repository')
  const { repo, snapshot } = await openSnapshot(ask.deps.view, { ref, revision: 'main', rule }, ask.visitor)
  const isLlamaCpp = /^llama-cpp/i.test(ask.request.headers.get('user-agent') ?? '')
  const manifest = await ask.deps.door.manifest(snapshot, tag, isLlamaCpp)
  return jsonAnswer(manifest, {
    ...commitHeaders(repo, snapshot),
    'Content-Type': isLlamaCpp ? 'application/json; charset=utf-8' : String(manifest['mediaType']),
  })
}

function whoAmI({ visitor }: Ask): Answer {
  if (!visitor.hasToken) {
    throw new MirrorError(401, 'TokenNeeded', 'Invalid username or password.', {
      'WWW-Authenticate': 'Bearer realm="Authentication required", charset="UTF-8"',
    })
  }
  const accessToken = { displayName: 'serve.token', role: 'read' }
  return jsonAnswer({
    type: 'user',
    id: 'weightvault',
    name: 'weightvault',
    fullname: 'weightvault mirror',
    email: null,
    isPro: false,
    canPay: false,
    avatarUrl: '',
    orgs: [],
    auth: { type: 'access_token', accessToken },
  })
}

/** For clients that kept a tree of the Hub, with hashes that we never tell. */
function noXet(): never {
  const message =
    'This mirror serves plain HTTP, not Xet: set HF_HUB_DISABLE_XET=1, or delete the trees folder of your cache'
  throw new MirrorError(404, 'EntryNotFound', message)
}
