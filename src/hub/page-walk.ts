import { type Endpoint, isEndpoint } from './endpoint.ts'
import { askHub, type HubReply } from './ask-hub.ts'
import { headerText, parseNextLink } from './http-headers.ts'
import type { HubContext } from './hub-context.ts'
import {
  answerInvalid,
  answerTooLarge,
  listingIncomplete,
  readRefusal,
  redirectRefused,
  refusalError,
} from './hub-errors.ts'
import { readJson } from './json-guard.ts'
import { readRedirect } from './redirects.ts'
import { readTarget, type Target, targetUrl } from './url-target.ts'

const MAX_REDIRECTS = 5
/** Decoded bytes of all pages of one listing. */
const MAX_LISTING_BYTES = 256 * 1024 * 1024

export interface PageWalk {
  /** What is listed, for messages. */
  readonly what: string
  readonly maxPages: number
  /** Whether a page may be asked for at this address (a redirect within the Hub's origin). */
  isPage(target: Target): boolean
  /** Takes the rows of a page, in order. */
  onPage(rows: readonly unknown[], reply: HubReply): void
}

/**
 * A `fetch` for `@huggingface/hub`'s listing functions. The library makes the address and walks the pages; this asks the
 * Hub within our limits, hands the rows to `onPage` and gives the library an empty page with a checked `Link`: hostile
 * rows never meet code that trusts them, and no next page is overlooked because of how it is written.
 * @throws from within the library's iteration: everything `askHub` throws, LISTING_INCOMPLETE, HUB_REDIRECT_REFUSED
 */
export function createPageFetch(context: HubContext, walk: PageWalk, signal: AbortSignal): typeof fetch {
  const seen = new Set<string>()
  let bytes = 0
  return async (input) => {
    const start = pageTarget(context.endpoint, walk, textOf(input), undefined)
    if (seen.size >= walk.maxPages) throw listingIncomplete(walk.what, `it has more than ${walk.maxPages} pages`)
    if (seen.has(targetUrl(start)))
      throw listingIncomplete(walk.what, 'a page names itself or an earlier one as the next')
    seen.add(targetUrl(start))
    const { reply, target } = await askPage(context, walk, start, signal)
    bytes += reply.body.length
    if (bytes > MAX_LISTING_BYTES) throw answerTooLarge(walk.what, 'its pages together are too large')
    walk.onPage(readRows(reply, walk.what), reply)
    const next = nextPage(context.endpoint, walk, reply, target)
    return emptyPage(next === undefined ? null : `<${targetUrl(next)}>; rel="next"`)
  }
}

/** What the library reads of a page. A real `Response` would load a whole second HTTP client first. */
function emptyPage(link: string | null): Response {
  const headers: Pick<Headers, 'get'> = { get: (name) => (name.toLowerCase() === 'link' ? link : null) }
  const page: Pick<Response, 'ok' | 'status' | 'json'> = { ok: true, status: 200, json: async () => [] }
  return Object.assign(page, { headers }) as Response
}

async function askPage(
  context: HubContext,
  walk: PageWalk,
  start: Target,
  signal: AbortSignal,
): Promise<{ reply: HubReply; target: Target }> {
  let target = start
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const reply = await askHub(context, { method: 'GET', target, route: 'api', what: walk.what }, signal)
    if (reply.status === 200) return { reply, target }
    const location = readRedirect(context, reply, target, walk.what)
    if (location === undefined) throw refusalError(readRefusal(reply.status, reply.headers, reply.body), walk.what)
    target = pageTarget(context.endpoint, walk, targetUrl(location), target)
  }
  throw redirectRefused(walk.what, `there were more than ${MAX_REDIRECTS}`)
}

function readRows(reply: HubReply, what: string): readonly unknown[] {
  const reading = readJson(reply.body)
  if (reading.kind === 'refused') throw answerInvalid(what, reading.reason)
  if (!Array.isArray(reading.value)) throw answerInvalid(what, 'it is not a list')
  return reading.value
}

function nextPage(endpoint: Endpoint, walk: PageWalk, reply: HubReply, target: Target): Target | undefined {
  const link = parseNextLink(headerText(reply.headers, 'link'))
  if (link.kind === 'unreadable') throw answerInvalid(walk.what, 'its Link header cannot be read')
  return link.kind === 'none' ? undefined : pageTarget(endpoint, walk, 'url' in link ? link.url : '', target)
}

function pageTarget(endpoint: Endpoint, walk: PageWalk, url: string, base: Target | undefined): Target {
  const reading = readTarget(url, base)
  if (reading.kind === 'refused') throw redirectRefused(walk.what, reading.reason)
  if (!isEndpoint(endpoint, reading.target)) throw redirectRefused(walk.what, 'it leaves the configured Hub')
  if (!walk.isPage(reading.target)) throw redirectRefused(walk.what, 'it leads to another part of the Hub')
  return reading.target
}

function textOf(input: string | URL | Request): string {
  return typeof input === 'string' ? input : input instanceof URL ? input.href : input.url
}
