import { decodeDigits } from '../domain/decode.ts'

/** Headers of an answer as undici gives them: lower-case names. */
export type HeaderMap = Readonly<Record<string, string | readonly string[] | undefined>>

/** The value of a header. One that was sent several times is joined by ", " and so fails every strict parser. */
export function headerText(headers: HeaderMap, name: string): string | undefined {
  if (!Object.hasOwn(headers, name)) return undefined
  const value = headers[name]
  return typeof value === 'object' ? value.join(', ') : value
}

/**
 * The content hash in an ETag: 64 hex digits (SHA-256) or 40 (git blob id), else undefined. `W/` may stand in front once;
 * either both quotes are there or none.
 */
export function parseContentEtag(text: string | undefined): string | undefined {
  const match = /^(?:W\/)?(?:"([^"]*)"|([^"]*))$/.exec(text ?? '')
  const value = match?.[1] ?? match?.[2] ?? ''
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(value) ? value : undefined
}

/** Exact ends of a 206: `bytes start-last/total`. Undefined for another unit, `*`, a total that is not exact, or nonsense. */
export function parseContentRange(
  text: string | undefined,
): { readonly start: number; readonly end: number; readonly total: number } | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(text ?? '')
  const [start, last, total] = [decodeDigits(match?.[1]), decodeDigits(match?.[2]), decodeDigits(match?.[3])]
  if (start === undefined || last === undefined || total === undefined) return undefined
  return start <= last && last < total ? { start, end: last + 1, total } : undefined
}

/** The total that a 416 names after `bytes` and an asterisk. */
export function parseUnsatisfiedRange(text: string | undefined): number | undefined {
  return decodeDigits(/^bytes \*\/(\d{1,16})$/.exec(text ?? '')?.[1])
}

/** Milliseconds a `Retry-After` asks for (seconds or an HTTP date); undefined when it says nothing readable. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const seconds = decodeDigits(text.trim())
  if (seconds !== undefined) return seconds * 1000
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

/** What the Hub says about one quota: requests left, seconds to its reset, and the size of the whole. */
export interface QuotaReading {
  readonly bucket: string
  readonly remaining: number
  readonly resetSeconds: number
  readonly quota: number | undefined
}

/** Reads `RateLimit: "api";r=485;t=163` with `RateLimit-Policy: "fixed window";"api";q=500;w=300`. */
export function parseRateLimit(limit: string | undefined, policy: string | undefined): QuotaReading | undefined {
  const match = /^"([a-z-]{1,40})";\s*r=(\d{1,9});\s*t=(\d{1,9})$/.exec(limit ?? '')
  const [, bucket] = match ?? []
  if (match === null || bucket === undefined) return undefined
  const quota = (policy ?? '').includes(`"${bucket}"`) ? /;\s*q=(\d{1,9})(?:;|$)/.exec(policy ?? '')?.[1] : undefined
  return {
    bucket,
    remaining: Number(match[2]),
    resetSeconds: Number(match[3]),
    quota: decodeDigits(quota),
  }
}

/**
 * The address of the next page in a `Link` header as sent; undefined when there is none. `unreadable` when the header has
 * something else than link values, or two different next pages: a listing must not end because of that.
 */
export function parseNextLink(
  text: string | undefined,
): { readonly kind: 'none' | 'unreadable' } | { readonly kind: 'next'; readonly url: string } {
  if (text === undefined || text.trim() === '') return { kind: 'none' }
  const found = new Set<string>()
  let rest = text.trim()
  while (rest !== '') {
    // One value: <address> and its parameters, up to the comma in front of the next one.
    const match = /^<([^<>]*)>((?:\s*;\s*[a-z*-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]+))?)*)\s*(?:,\s*|$)/i.exec(rest)
    if (match === null) return { kind: 'unreadable' }
    if (isNext(match[2] ?? '')) found.add(match[1] ?? '')
    rest = rest.slice(match[0].length)
  }
  const [url] = found
  if (url === undefined) return { kind: 'none' }
  return found.size === 1 ? { kind: 'next', url } : { kind: 'unreadable' }
}

function isNext(parameters: string): boolean {
  const rel = /(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))/i.exec(parameters)
  return (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/).includes('next')
}
