/** Who may see what: the Hub's table of repository states and callers, with its exact sentences. */
import { errorReply, headerText, textReply, type Reply } from './reply.ts'
import type { RepoState } from './repo-state.ts'
import type { Caller } from './request.ts'

const WWW_AUTHENTICATE = 'Bearer realm="Authentication required", charset="UTF-8"'

/** 401 for callers without rights; the Hub does not say whether the repo exists. */
export function unauthorized(message = 'Invalid username or password.'): Reply {
  return errorReply(401, message, { 'WWW-Authenticate': WWW_AUTHENTICATE })
}

/** The answer for a repo this caller cannot know about. */
export function repoNotFound(caller: Caller): Reply {
  if (caller.kind === 'anonymous') return unauthorized()
  if (caller.kind === 'bad') return unauthorized('Invalid credentials in Authorization header')
  return errorReply(404, 'Repository not found', { 'X-Error-Code': 'RepoNotFound' })
}

/** 404 for an unknown revision. */
export function revisionNotFound(revision: string): Reply {
  return errorReply(404, `Invalid rev id: ${revision}`, { 'X-Error-Code': 'RevisionNotFound' })
}

/** 404 for a path the commit does not hold; clients cache the miss by the commit header. */
export function entryNotFound(commit: string): Reply {
  const headers = { 'X-Error-Code': 'EntryNotFound', 'X-Error-Message': 'Entry not found', 'X-Repo-Commit': commit }
  return textReply(404, 'Entry not found', headers)
}

/** 403 with the sentence that clients compare word for word; no error code. */
export function accessDisabled(): Reply {
  return errorReply(403, 'Access to this resource is disabled.')
}

/** True when the repo is there for this caller at all. */
export function isVisible(repo: RepoState | undefined, caller: Caller): repo is RepoState {
  return repo !== undefined && (!repo.private || isGranted(repo, caller))
}

/** True for the owner and for tokens that were granted this repo. */
export function isGranted(repo: RepoState, caller: Caller): boolean {
  if (caller.kind !== 'user') return false
  return caller.grants.has(repo.id.toLowerCase()) || repo.id.toLowerCase().startsWith(`${caller.user.toLowerCase()}/`)
}

/**
 * What keeps this caller from a repo.
 * @param what `meta`: info, tree, commits; `file`: resolve and raw
 * @returns undefined when nothing does
 */
export function refusalFor(repo: RepoState | undefined, caller: Caller, what: 'meta' | 'file'): Reply | undefined {
  if (!isVisible(repo, caller) || repo.hiddenFromInfo) return repoNotFound(caller)
  if (caller.kind === 'bad' && repo.gated === false) return repoNotFound(caller)
  if (repo.disabled === 'info-403' || (repo.disabled !== false && what === 'file')) return accessDisabled()
  if (what === 'meta' || repo.gated === false || isGranted(repo, caller)) return undefined
  return gatedReply(repo, caller)
}

function gatedReply(repo: RepoState, caller: Caller): Reply {
  const restricted = `Access to ${repo.type} ${repo.id} is restricted`
  const message =
    caller.kind === 'user'
      ? `${restricted} and you are not in the authorized list. Visit https://huggingface.co/${repo.id} to ask for access.`
      : `${restricted}. You must have access to it and be authenticated to access it. Please log in.`
  const headers = { 'X-Error-Code': 'GatedRepo', 'X-Error-Message': headerText(message) }
  if (caller.kind === 'user') return textReply(403, message, headers)
  return textReply(401, message, { ...headers, 'WWW-Authenticate': WWW_AUTHENTICATE })
}
