/** `GET /api/models`, `/api/datasets`, `/api/spaces`. */
import { isVisible, repoNotFound } from './errors.ts'
import { pageOf } from './page-cursor.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import { EXPANDABLE, fieldOf, listKeys, repoEntry } from './repo-fields.ts'
import { byText, headOf, type RepoState } from './repo-state.ts'
import { arrayParameter, type HubContext, type HubRequest } from './request.ts'
import type { RepoType } from './types.ts'

/** Lists the repos this caller may see. */
export function listRoute(context: HubContext, request: HubRequest, type: RepoType): Reply {
  if (request.caller.kind === 'bad') return repoNotFound(request.caller)
  const expand = arrayParameter(request.query, 'expand')
  const flags = {
    full: request.query.get('full') === 'true',
    config: request.query.get('config') === 'true',
    cardData: request.query.get('cardData') === 'true',
  }
  if (expand.length > 0 && (flags.full || flags.config || flags.cardData)) {
    return errorReply(400, 'Cannot use `expand` with `full`, `config` or `cardData`')
  }
  const unknown = expand.find((key) => !EXPANDABLE[type].has(key))
  if (unknown !== undefined) return errorReply(400, `Invalid value for "expand": ${unknown}`)

  const keys = expand.length > 0 ? expand : listKeys(type, flags)
  const rows = sortedRows(request, matchingRepos(context, request, type))
  const { items, page, headers } = pageOf(context, request, rows, limitOf(context, request))
  if (request.fault.listErrorOnPage === page) return errorReply(500, 'Internal Server Error')
  if (request.fault.emptyList === true) return jsonReply([])
  return jsonReply(
    items.map((repo) => repoEntry(repo, headOf(repo), keys)),
    headers,
  )
}

function limitOf(context: HubContext, request: HubRequest): number {
  const asked = Number(request.query.get('limit') ?? Number.NaN)
  const max = context.options.listPageSizeMax
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, max) : max
}

function matchingRepos(context: HubContext, request: HubRequest, type: RepoType): RepoState[] {
  const { query, caller } = request
  const author = query.get('author')?.toLowerCase()
  const search = query.get('search')?.toLowerCase()
  const wantedTags = arrayParameter(query, 'filter').flatMap((tags) => tags.split(','))
  const pipeline = query.get('pipeline_tag')
  const gated = query.get('gated')
  return [...context.state.repos.values()].filter((repo) => {
    if (repo.type !== type || repo.hiddenFromListing || !isVisible(repo, caller)) return false
    const head = headOf(repo)
    const id = repo.id.toLowerCase()
    if (author !== undefined && !id.startsWith(`${author}/`)) return false
    if (search !== undefined && !id.includes(search)) return false
    if (pipeline !== null && fieldOf(repo, head, 'pipeline_tag') !== pipeline) return false
    if (gated !== null && (repo.gated !== false) !== (gated === 'true')) return false
    if (!hasNumParameters(query.get('num_parameters'), fieldOf(repo, head, 'num_parameters'))) return false
    if (wantedTags.length === 0) return true
    const tags = fieldOf(repo, head, 'tags')
    return Array.isArray(tags) && wantedTags.every((tag) => tags.includes(tag))
  })
}

function hasNumParameters(wanted: string | null, count: unknown): boolean {
  if (wanted === null) return true
  const bound = (name: string) => {
    const [, digits, unit = ''] = new RegExp(`(?:^|,)${name}:([0-9.]+)([KMBT]?)`).exec(wanted) ?? []
    const scale = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[unit] ?? 1
    return digits === undefined ? undefined : Number(digits) * scale
  }
  if (typeof count !== 'number') return false
  return count >= (bound('min') ?? 0) && count <= (bound('max') ?? Infinity)
}

function sortedRows(request: HubRequest, repos: RepoState[]): RepoState[] {
  const key = request.query.get('sort') ?? 'trendingScore'
  const sign = request.query.get('direction') === '1' ? 1 : -1
  const value = (repo: RepoState) => (key === 'id' ? repo.id : fieldOf(repo, headOf(repo), key))
  const keyed = repos.map((repo) => ({ repo, value: value(repo) }))
  keyed.sort((a, b) => sign * byValue(a.value, b.value) || a.repo.ordinal - b.repo.ordinal)
  return keyed.map(({ repo }) => repo)
}

function byValue(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return byText(typeof a === 'string' ? a : '', typeof b === 'string' ? b : '')
}
