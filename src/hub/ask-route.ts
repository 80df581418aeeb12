import { printRepo, type RepoRef } from '../domain/repo.ts'
import { askHub, type HubReply } from './ask-hub.ts'
import { endpointTarget, infoPath, readInfoPath } from './endpoint.ts'
import type { HubContext } from './hub-context.ts'
import { answerInvalid, readRefusal, redirectRefused, refusalError } from './hub-errors.ts'
import { readJson } from './json-guard.ts'
import { readRedirect, requireEndpoint } from './redirects.ts'

const MAX_REDIRECTS = 5

/**
 * Asks for something below a repository's address (`/refs`) and reads its JSON. Follows only to the same question about
 * another name of the repository.
 * @throws ArchiveError what the refusal means, HUB_ANSWER_INVALID, HUB_REDIRECT_REFUSED and all that `askHub` throws
 */
export async function askRoute(
  context: HubContext,
  ref: RepoRef,
  question: { readonly rest: string; readonly what: string },
  signal: AbortSignal,
): Promise<{ readonly value: unknown; readonly reply: HubReply }> {
  const what = `${question.what} of ${printRepo(ref)}`
  let target = endpointTarget(context.endpoint, `${infoPath(ref)}${question.rest}`)
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const reply = await askHub(context, { method: 'GET', target, route: 'api', what }, signal)
    if (reply.status === 200) {
      const reading = readJson(reply.body)
      if (reading.kind === 'refused') throw answerInvalid(what, reading.reason)
      return { value: reading.value, reply }
    }
    const location = readRedirect(context, reply, target, what)
    if (location === undefined) throw refusalError(readRefusal(reply.status, reply.headers, reply.body), what)
    requireEndpoint(context, location, what)
    const info = readInfoPath(context.endpoint, location)
    if (info?.type !== ref.type || pathOf(info.rest) !== pathOf(question.rest)) {
      throw redirectRefused(what, 'it leads to another part of the Hub')
    }
    target = location
  }
  throw redirectRefused(what, `there were more than ${MAX_REDIRECTS}`)
}

function pathOf(rest: string): string {
  return rest.replace(/\?.*$/, '')
}
