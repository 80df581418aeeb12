import { decodeObject } from '../domain/decode.ts'
import { parseCommitId, type CommitId } from '../domain/digest.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { CommitLog } from '../hub-port.ts'
import { askRoute } from './ask-route.ts'
import { headerText, parseNextLink } from './http-headers.ts'
import type { HubContext } from './hub-context.ts'
import { answerInvalid } from './hub-errors.ts'

/** The largest page the Hub gives: one request tells whether an old head is an ancestor. */
const COMMITS = 1000

/** The newest commits from one back. See `HubSource.readCommits`. */
export async function readCommits(
  context: HubContext,
  ref: RepoRef,
  from: CommitId,
  signal: AbortSignal,
): Promise<CommitLog> {
  const what = `the commits before ${from}`
  const { value, reply } = await askRoute(context, ref, { rest: `/commits/${from}?limit=${COMMITS}`, what }, signal)
  if (!Array.isArray(value)) throw answerInvalid(what, 'it is not a list')
  const commits = value.map((row: unknown) => {
    const id = parseCommitId(decodeObject(row)?.['id'])
    if (id === undefined) throw answerInvalid(what, 'it has a commit without an id')
    return id
  })
  const total = headerText(reply.headers, 'x-total-count')
  const hasMore = parseNextLink(headerText(reply.headers, 'link')).kind !== 'none'
  return { commits, isComplete: !hasMore && (total === undefined || total === String(commits.length)) }
}
