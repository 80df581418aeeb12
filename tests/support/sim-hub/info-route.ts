/** `GET /api/{type}s/{id}` and `/revision/{rev}`. */
import { jsonReply, errorReply, type Reply } from './reply.ts'
import { EXPANDABLE, infoKeys, repoEntry, siblingsWithBlobs } from './repo-fields.ts'
import type { Commit, RepoState } from './repo-state.ts'
import { arrayParameter, type HubRequest } from './request.ts'

/** What the Hub knows about a repo at a commit. */
export async function infoRoute(request: HubRequest, repo: RepoState, commit: Commit): Promise<Reply> {
  const expand = arrayParameter(request.query, 'expand')
  const unknown = expand.find((key) => !EXPANDABLE[repo.type].has(key))
  if (unknown !== undefined) return errorReply(400, `Invalid value for "expand": ${unknown}`)
  const entry = repoEntry(repo, commit, expand.length > 0 ? expand : infoKeys(repo.type))
  if (request.query.get('blobs') === 'true' && 'siblings' in entry) entry['siblings'] = await siblingsWithBlobs(commit)
  if (request.query.get('securityStatus') === 'true') {
    entry['securityRepoStatus'] = { scansDone: true, filesWithIssues: [] }
  }
  return jsonReply(entry, { 'X-Repo-Commit': commit.id })
}
