/** `GET …/tree/{rev}[/{path}]`, `POST …/paths-info/{rev}`, `GET …/treesize/{rev}/{path}`. */
import { entryNotFound } from './errors.ts'
import { pageOf } from './page-cursor.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import type { Commit, RepoState } from './repo-state.ts'
import type { HubContext, HubRequest } from './request.ts'
import { rowAt, rowsBelow, treeEntry } from './tree-entries.ts'

const EXPANDED_PAGE = 100
const MOST_PATHS = 2000

/** One page of a folder. */
export async function treeRoute(
  context: HubContext,
  request: HubRequest,
  at: { repo: RepoState; commit: Commit; path: string },
): Promise<Reply> {
  const rows = rowsBelow(at.commit, at.path, request.query.get('recursive') === 'true')
  if (rows === undefined) return entryNotFound(at.commit.id)
  const isExpanded = request.query.get('expand') === 'true'
  const largest = isExpanded ? Math.min(EXPANDED_PAGE, context.options.treePageSize) : context.options.treePageSize
  const asked = Number(request.query.get('limit') ?? Number.NaN)
  const size = Number.isInteger(asked) && asked > 0 ? Math.min(asked, largest) : largest
  const { items, page, headers } = pageOf(context, request, rows, size)
  if (request.fault.listErrorOnPage === page) return errorReply(500, 'Internal Server Error')
  if (request.fault.emptyList === true) return jsonReply([])
  const expand = isExpanded ? (id: string) => at.repo.commits.get(id) : undefined
  const entries: unknown[] = []
  for (const row of items) entries.push(await treeEntry(row, at.commit, expand))
  return jsonReply(entries, { ...headers, 'X-Repo-Commit': at.commit.id })
}

/** The entries of the named paths; unknown ones are left out. */
export async function pathsInfoRoute(request: HubRequest, repo: RepoState, commit: Commit): Promise<Reply> {
  const asked = readPaths(request)
  if (asked === undefined) return errorReply(400, 'Invalid body')
  if (asked.paths.length > MOST_PATHS) return errorReply(400, `Too many paths, at most ${MOST_PATHS}`)
  const expand = asked.expand ? (id: string) => repo.commits.get(id) : undefined
  const entries: unknown[] = []
  for (const path of asked.paths) {
    const row = rowAt(commit, path)
    if (row !== undefined) entries.push(await treeEntry(row, commit, expand))
  }
  return jsonReply(entries, { 'X-Repo-Commit': commit.id })
}

/** Path and total size below it. */
export function treeSizeRoute(commit: Commit, path: string): Reply {
  const rows = rowsBelow(commit, path, true) ?? [rowAt(commit, path)].filter((row) => row !== undefined)
  if (rows.length === 0 && path !== '') return entryNotFound(commit.id)
  let size = 0
  for (const row of rows) if (row.kind === 'file') size += row.entry.file.content.size
  return jsonReply({ path: `/${path}`, size })
}

function readPaths(request: HubRequest): { paths: string[]; expand: boolean } | undefined {
  const text = request.body.toString('utf8')
  if (!request.headers['content-type']?.includes('json')) {
    const form = new URLSearchParams(text)
    return {
      paths: [...form.getAll('paths'), ...form.getAll('paths[]')],
      expand: /^true$/i.test(form.get('expand') ?? ''),
    }
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('paths' in value)) return undefined
    const paths = typeof value.paths === 'string' ? [value.paths] : value.paths
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) return undefined
    return { paths, expand: 'expand' in value && value.expand === true }
  } catch {
    return undefined
  }
}
