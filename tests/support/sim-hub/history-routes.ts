/** Commits, refs, compare and discussions of a repo. */
import { revisionNotFound } from './errors.ts'
import { errorReply, jsonReply, textReply, type Reply } from './reply.ts'
import { byText, findCommit, headOf, historyOf, type Commit, type RepoState } from './repo-state.ts'
import { decodeOnce, type HubContext, type HubRequest } from './request.ts'
import { fileBytes, type StoredFile } from './stored-file.ts'

const MOST_COMMITS = 1000
const MOST_DIFF_BYTES = 100_000

/** A page of commits, newest first, with X-Total-Count. */
export function commitsRoute(context: HubContext, request: HubRequest, repo: RepoState, from: Commit): Reply {
  const history = historyOf(repo, from)
  const limit = Math.min(positive(request.query.get('limit'), 50), MOST_COMMITS)
  const page = positive(request.query.get('p'), 0)
  const start = page * limit
  const items = history.slice(start, start + limit).map((commit) => ({
    id: commit.id,
    title: commit.title,
    message: commit.message,
    authors: [{ user: commit.author, avatar: `/avatars/${commit.author}.svg` }],
    date: commit.date,
  }))
  const headers: Record<string, string> = { 'X-Total-Count': String(history.length) }
  if (start + limit < history.length) {
    const query = new URLSearchParams(request.query)
    query.set('p', String(page + 1))
    query.set('limit', String(limit))
    headers['Link'] = `<${context.url}${request.rawPath}?${query.toString()}>; rel="next"`
  }
  return jsonReply(items, headers)
}

/** Branches, tags, conversions and, when asked, pull requests. */
export function refsRoute(request: HubRequest, repo: RepoState): Reply {
  const list = (refs: ReadonlyMap<string, string>, prefix: string, cut = '') =>
    [...refs]
      .filter(([name]) => name.startsWith(cut))
      .map(([name, targetCommit]) => ({
        name: name.slice(cut.length),
        ref: `${prefix}${name.slice(cut.length)}`,
        targetCommit,
      }))
  const withPulls = /^(1|true)$/i.test(request.query.get('include_prs') ?? '')
  const pulls = list(repo.otherRefs, 'refs/pr/', 'refs/pr/')
  return jsonReply({
    branches: list(repo.branches, 'refs/heads/'),
    tags: list(repo.tags, 'refs/tags/'),
    converts: list(repo.otherRefs, 'refs/convert/', 'refs/convert/'),
    ...(withPulls && { pullRequests: pulls.map((pull) => ({ ...pull, name: pull.ref })) }),
  })
}

/** Differences between two revisions as text. */
export function compareRoute(repo: RepoState, encoded: string): Reply {
  const text = decodeOnce(encoded) ?? ''
  const [before = '', after = ''] = text.split('..')
  const from = findCommit(repo, before)
  if (from === undefined) return revisionNotFound(before)
  const to = findCommit(repo, after)
  if (to === undefined) return revisionNotFound(after)
  const paths = [...new Set([...from.entries.keys(), ...to.entries.keys()])].sort(byText)
  const parts = paths.flatMap((path) => {
    const old = from.entries.get(path)?.file
    const now = to.entries.get(path)?.file
    return old?.content === now?.content ? [] : [diffOf(path, old, now)]
  })
  return textReply(200, parts.join(''))
}

/** The list of discussions, or one of them. */
export function discussionsRoute(repo: RepoState, request: HubRequest, num: string | undefined): Reply {
  const shown = repo.discussions.map((one) => ({
    num: one.num,
    title: one.title,
    author: { name: one.author },
    createdAt: one.createdAt,
    status: one.status,
    isPullRequest: one.isPullRequest,
    repo: { name: repo.id, type: repo.type },
  }))
  if (num !== undefined) {
    const one = shown.find((discussion) => String(discussion.num) === num)
    if (one === undefined) return errorReply(404, 'Discussion not found')
    return jsonReply({ ...one, events: [], ...(one.isPullRequest && { changes: { base: 'refs/heads/main' } }) })
  }
  const type = request.query.get('type') ?? 'all'
  const status = request.query.get('status') ?? 'all'
  const author = request.query.get('author')
  const matching = shown.filter((one) => {
    if (type !== 'all' && one.isPullRequest !== (type === 'pull_request')) return false
    if (status !== 'all' && (one.status === 'open' || one.status === 'draft') !== (status === 'open')) return false
    return author === null || one.author.name === author
  })
  const start = positive(request.query.get('p'), 0) * 50
  const discussions = matching.reverse().slice(start, start + 50)
  return jsonReply({ count: matching.length, start, discussions, numClosedDiscussions: 0, head: headOf(repo).id })
}

function positive(text: string | null, otherwise: number): number {
  const value = Number(text ?? Number.NaN)
  return Number.isInteger(value) && value > 0 ? value : otherwise
}

function diffOf(path: string, old: StoredFile | undefined, now: StoredFile | undefined): string {
  const head = `diff --git a/${path} b/${path}\n--- ${old ? `a/${path}` : '/dev/null'}\n+++ ${now ? `b/${path}` : '/dev/null'}\n`
  const sides = [old, now].filter((file) => file !== undefined)
  if (sides.some((file) => file.isLfs || file.content.size > MOST_DIFF_BYTES)) return `${head}Binary files differ\n`
  const lines = (file: StoredFile | undefined, sign: string) =>
    file === undefined
      ? ''
      : fileBytes(file)
          .toString('utf8')
          .split('\n')
          .map((line) => `${sign}${line}\n`)
          .join('')
  return head + lines(old, '-') + lines(now, '+')
}
