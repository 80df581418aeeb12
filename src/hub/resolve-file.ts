import { decodeDigits } from '../domain/decode.ts'
import type { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { HubFile, ResolvedFile } from '../hub-port.ts'
import { askHub, type HubReply } from './ask-hub.ts'
import { endpointTarget, isEndpoint, resolvePath } from './endpoint.ts'
import { headerText, parseContentEtag } from './http-headers.ts'
import type { HubContext } from './hub-context.ts'
import { answerInvalid, meaningOf, readRefusal, redirectRefused, type Refusal, refusalError } from './hub-errors.ts'
import { readRedirect } from './redirects.ts'
import { type Target, targetUrl } from './url-target.ts'

const MAX_REDIRECTS = 5

/** Where the bytes of a file are, with the metadata of the Hub's own answer. See `HubSource.resolveFile`. */
export async function resolveFile(context: HubContext, file: HubFile, signal: AbortSignal): Promise<ResolvedFile> {
  const what = describeFile(file)
  let target = endpointTarget(context.endpoint, resolvePath(file))
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const reply = await askHub(context, { method: 'HEAD', target, route: 'resolve', what }, signal)
    if (reply.status === 200) return describe(file, reply, target, what)
    const location = readRedirect(context, reply, target, what)
    if (location === undefined) throw fileRefusal(readRefusal(reply.status, reply.headers, reply.body), what)
    if (!isRename(context, reply, location)) return describe(file, reply, location, what)
    target = location
  }
  throw redirectRefused(what, `there were more than ${MAX_REDIRECTS}`)
}

/** A file as messages name it: never with an address. */
export function describeFile(file: HubFile): string {
  return `${displayName(file.path)} of ${printRepo(file.ref)} at ${file.commit}`
}

/** The redirect to a file's bytes carries the file's metadata; one to a repository's new name carries none. */
function isRename(context: HubContext, reply: HubReply, location: Target): boolean {
  const isAboutFile = ['x-repo-commit', 'x-linked-etag', 'x-linked-size'].some(
    (name) => headerText(reply.headers, name) !== undefined,
  )
  return !isAboutFile && isEndpoint(context.endpoint, location) && location.path.includes('/resolve/')
}

function describe(file: HubFile, reply: HubReply, at: Target, what: string): ResolvedFile {
  const { headers } = reply
  const commit = headerText(headers, 'x-repo-commit')
  if (commit !== undefined && commit !== file.commit) {
    throw answerInvalid(what, `it is about another commit (${displayName(commit.slice(0, 60))})`)
  }
  // Where the Hub names the linked file, its ETag and nothing else counts: the plain one may be the redirect's own.
  const etag = parseContentEtag(headerText(headers, 'x-linked-etag') ?? headerText(headers, 'etag'))
  const linkedSize = headerText(headers, 'x-linked-size')
  // The Content-Length of a redirect is the length of the redirect's own text.
  const size = decodeDigits(linkedSize ?? (reply.status === 200 ? headerText(headers, 'content-length') : undefined))
  if (linkedSize !== undefined && size === undefined) throw answerInvalid(what, 'its X-Linked-Size is not a size')
  return { file, url: targetUrl(at), etag, size }
}

/** A file's refusal, also where only the status speaks: mirrors send no reason. */
export function fileRefusal(refusal: Refusal, what: string): ArchiveError {
  if (meaningOf(refusal) !== 'unexplained') return refusalError(refusal, what)
  const { status } = refusal
  if (status === 404 || status === 410) return refusalError({ ...refusal, errorCode: 'EntryNotFound' }, what)
  if (status === 401) return refusalError({ ...refusal, errorCode: 'RepoNotFound' }, what)
  return refusalError(refusal, what)
}
