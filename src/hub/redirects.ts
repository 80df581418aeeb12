import { isEndpoint } from './endpoint.ts'
import { type HeaderMap, headerText } from './http-headers.ts'
import type { HubContext } from './hub-context.ts'
import { redirectRefused } from './hub-errors.ts'
import { readTarget, type Target } from './url-target.ts'

const REDIRECTS = new Set([301, 302, 303, 307, 308])

/**
 * Where an answer redirects to; undefined when it is no redirect. The address is http(s), holds no credentials, does not
 * fall from https to http, and is public unless the configured Hub is not.
 * @throws ArchiveError HUB_REDIRECT_REFUSED
 */
export function readRedirect(
  context: Pick<HubContext, 'endpoint' | 'guard'>,
  answer: { readonly status: number; readonly headers: HeaderMap },
  from: Target,
  what: string,
): Target | undefined {
  if (!REDIRECTS.has(answer.status)) return undefined
  const location = headerText(answer.headers, 'location')
  if (location === undefined) throw redirectRefused(what, 'it names no address')
  const reading = readTarget(location.trim(), from)
  if (reading.kind === 'refused') throw redirectRefused(what, reading.reason)
  const { target } = reading
  if (target.protocol === 'http:' && (from.protocol === 'https:' || context.endpoint.target.protocol === 'https:')) {
    throw redirectRefused(what, 'it falls from https to http')
  }
  const refusal = context.guard.refusal(target)
  if (refusal !== undefined) throw redirectRefused(what, refusal)
  return target
}

/** @throws ArchiveError HUB_REDIRECT_REFUSED when an API redirect leaves the configured Hub */
export function requireEndpoint(context: Pick<HubContext, 'endpoint'>, target: Target, what: string): void {
  if (!isEndpoint(context.endpoint, target)) throw redirectRefused(what, 'it leaves the configured Hub')
}
