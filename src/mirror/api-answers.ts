import type { RepoType } from '../domain/repo.ts'
import { jsonAnswer, limitOf, pageOf, type Answer } from './answer.ts'
import { sealedOf, sealedRefs } from './choose-snapshot.ts'
import { MirrorError } from './mirror-error.ts'
import type { OpenedSnapshot } from './open-snapshot.ts'
import type { NamedRepo } from './archive-view.ts'
import { pickFields, repoFields, siblingsJson, upstreamToday } from './repo-json.ts'
import type { ListedRepo, ListQuery } from './repo-list.ts'
import { entriesOf, treeEntries } from './tree.ts'

const MOST_REPOS = 1000
const MOST_COMMITS = 1000
/** More than the Hub lets a repository have. */
const MOST_ENTRIES = 200_000
const MOST_PATHS = 2000

/** The query of a list, in the Hub's words. */
export function listQuery(type: RepoType, query: URLSearchParams): ListQuery {
  const gated = query.get('gated')
  return {
    type,
    author: query.get('author') ?? undefined,
    search: query.get('search') ?? undefined,
    tags: query
      .getAll('filter')
      .flatMap((tags) => tags.split(','))
      .filter((tag) => tag !== ''),
    pipelineTag: query.get('pipeline_tag') ?? undefined,
    gated: gated === null ? undefined : gated === 'true',
    sort: query.get('sort') ?? undefined,
  }
}

/** `expand=sha&expand=gated`, and the site's own `expand[]=`. */
export function expandOf(query: URLSearchParams): ReadonlySet<string> | undefined {
  const fields = [...query.getAll('expand'), ...query.getAll('expand[]')].filter((field) => !isFlag(field))
  return fields.length === 0 ? undefined : new Set(fields)
}

/** In trees the same word is a switch. */
function isFlag(text: string): boolean {
  return text === 'true' || text === 'false' || text === ''
}

/** One page of a list. `siblings` are read only where they were asked for. */
export async function listAnswer(
  repos: readonly ListedRepo[],
  query: URLSearchParams,
  path: string,
  siblings: (repo: ListedRepo) => Promise<Record<string, unknown>[]>,
): Promise<Answer> {
  const page = pageOf(repos, ({ row }) => row.ref.name, {
    cursor: query.get('cursor'),
    limit: limitOf(query.get('limit'), MOST_REPOS),
  })
  const expand = expandOf(query)
  const isFull = query.get('full') === 'true'
  const usual = isFull ? FULL_FIELDS : USUAL_FIELDS
  const wanted = expand ?? new Set(query.get('cardData') === 'true' ? [...usual, 'cardData'] : usual)
  const items: Record<string, unknown>[] = []
  for (const repo of page.items) {
    const fields = pickFields({ ...repoFields(repo.row.ref, repo.card), private: repo.isPrivate }, wanted)
    items.push(wanted.has('siblings') ? { ...fields, siblings: await siblings(repo) } : fields)
  }
  return jsonAnswer(items, {}, nextPage(path, query, page.cursor))
}

const USUAL_FIELDS = ['modelId', 'likes', 'private', 'downloads', 'tags', 'pipeline_tag', 'library_name', 'createdAt']
const FULL_FIELDS = [...USUAL_FIELDS, 'author', 'sha', 'lastModified', 'gated', 'disabled', 'siblings']

function nextPage(path: string, query: URLSearchParams, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  const next = new URLSearchParams(query)
  next.set('cursor', cursor)
  return `${path}?${next.toString()}`
}

/** Info of a repository at a commit: as archived, with today's state apart from it. */
export function infoAnswer({ repo, snapshot }: OpenedSnapshot, query: URLSearchParams): Answer {
  const row = rowOf(repo, snapshot.row.repoId)
  const expand = expandOf(query)
  const withBlobs = query.get('blobs') === 'true'
  const held = [...snapshot.files.values()].filter((file) => file.held)
  const fields: Record<string, unknown> = {
    ...repoFields(repo.ref, snapshot),
    private: row.known?.private === true,
    usedStorage: held.reduce((sum, file) => sum + file.size, 0),
    siblings: expand === undefined || expand.has('siblings') ? siblingsJson(snapshot.files.values(), withBlobs) : [],
    weightvault: {
      sealedAt: snapshot.sealedAt,
      coverage: snapshot.coverage,
      filesListed: snapshot.files.size,
      filesHeld: held.length,
      namesLeftOut: snapshot.namesLeftOut,
      today: upstreamToday(row),
    },
  }
  const wanted = expand === undefined ? undefined : new Set([...expand, 'weightvault'])
  return jsonAnswer(pickFields(fields, wanted), commitHeaders(repo, snapshot))
}

/** One folder of a commit, or everything below it. One page, unless a limit was asked for. */
export function treeAnswer(opened: OpenedSnapshot, path: string, query: URLSearchParams, route: string): Answer {
  const { repo, snapshot } = opened
  const entries = treeEntries(snapshot, path.replace(/\/+$/, ''), query.get('recursive') === 'true')
  const headers = commitHeaders(repo, snapshot)
  if (entries === undefined) throw new MirrorError(404, 'EntryNotFound', 'Entry not found', headers)
  const page = pageOf(entries, (entry) => String(entry['path']), {
    cursor: query.get('cursor'),
    limit: limitOf(query.get('limit'), MOST_ENTRIES),
  })
  return jsonAnswer(page.items, headers, nextPage(route, query, page.cursor))
}

/** What these paths are. @throws MirrorError BadRequest for more than the Hub takes */
export function pathsAnswer({ repo, snapshot }: OpenedSnapshot, paths: readonly string[]): Answer {
  if (paths.length > MOST_PATHS) throw new MirrorError(400, 'BadRequest', `At most ${MOST_PATHS} paths at once`)
  return jsonAnswer(entriesOf(snapshot, paths), commitHeaders(repo, snapshot))
}

/** The sealed commits from one on, newest first. Of upstream's history no more is known here. */
export async function commitsAnswer(
  { repo, snapshot }: OpenedSnapshot,
  query: URLSearchParams,
  route: string,
  dateOf: (row: OpenedSnapshot['snapshot']['row']) => Promise<string | undefined>,
): Promise<Answer> {
  const all = sealedOf(rowOf(repo, snapshot.row.repoId))
  const from = all.slice(all.findIndex(({ commit }) => commit === snapshot.commit))
  const limit = limitOf(query.get('limit'), MOST_COMMITS)
  const pageNumber = Math.max(0, Math.trunc(Number(query.get('p') ?? 0)) || 0)
  const items = await Promise.all(
    from.slice(pageNumber * limit, (pageNumber + 1) * limit).map(async (row) => ({
      id: row.commit,
      title: `Archived commit ${row.commit.slice(0, 7)}`,
      message: '',
      authors: [],
      date: (await dateOf(row)) ?? row.listedAt,
    })),
  )
  const next = new URLSearchParams(query)
  next.set('p', String(pageNumber + 1))
  const isMore = (pageNumber + 1) * limit < from.length
  const headers = { ...commitHeaders(repo, snapshot), 'X-Total-Count': String(from.length) }
  return jsonAnswer(items, headers, isMore ? `${route}?${next.toString()}` : undefined)
}

/** The default branch, and the branches and tags that lead to a sealed commit. */
export function refsAnswer({ repo, snapshot }: OpenedSnapshot): Answer {
  const known = sealedRefs(rowOf(repo, snapshot.row.repoId))
  const refs = (kind: 'branch' | 'tag', folder: string): Record<string, string>[] =>
    known
      .filter((ref) => ref.kind === kind)
      .map(({ name, commit }) => ({ name, ref: `refs/${folder}/${name}`, targetCommit: commit }))
  const main = { name: 'main', ref: 'refs/heads/main', targetCommit: snapshot.commit }
  const answer = {
    branches: [main, ...refs('branch', 'heads')],
    tags: refs('tag', 'tags'),
    converts: [],
    pullRequests: [],
  }
  return jsonAnswer(answer, commitHeaders(repo, snapshot))
}

/** Size of a file, or of all files of a folder. */
export function treeSizeAnswer({ repo, snapshot }: OpenedSnapshot, path: string): Answer {
  const files = [...snapshot.files.values()].filter((file) => file.path === path || isBelow(file.path, path))
  const headers = commitHeaders(repo, snapshot)
  if (files.length === 0) throw new MirrorError(404, 'EntryNotFound', 'Entry not found', headers)
  return jsonAnswer({ path, size: files.reduce((sum, file) => sum + file.size, 0) }, headers)
}

function isBelow(path: string, folder: string): boolean {
  return folder === '' || path.startsWith(`${folder}/`)
}

/** Which commit an answer is about, and what the Hub says of the repository today. */
export function commitHeaders(repo: NamedRepo, snapshot: OpenedSnapshot['snapshot']): Record<string, string> {
  return {
    'X-Repo-Commit': snapshot.commit,
    'X-Weightvault-Upstream': rowOf(repo, snapshot.row.repoId).upstream,
  }
}

function rowOf(repo: NamedRepo, repoId: number): NamedRepo['rows'][number] {
  return repo.rows.find((row) => row.repoId === repoId) ?? repo.rows[0]!
}
