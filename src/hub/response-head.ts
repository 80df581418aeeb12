import { decodeDigits } from '../domain/decode.ts'
import { type HeaderMap, headerText } from './http-headers.ts'

/** A head that says in the plainest way where its body ends. */
export interface ResponseHead {
  readonly status: number
  readonly headers: HeaderMap
  readonly length: number
  /** Whether the connection may be used again. */
  readonly keepsAlive: boolean
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3})(?: [\t\u0020-\u007e\u0080-\u00ff]*)?$/
const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\u0020-\u007e\u0080-\u00ff]*$/
const LEADING_BLANKS = /^[\t ]+/

/**
 * Reads the head of an HTTP/1.1 answer, without the empty line at its end. Only the plainest heads are taken: one exact
 * Content-Length, no transfer coding, nothing folded. Undefined for every other: a complete HTTP client reads it then.
 */
export function parseResponseHead(text: string): ResponseHead | undefined {
  const lines = text.split('\r\n')
  const status = Number(STATUS_LINE.exec(lines[0] ?? '')?.[1] ?? Number.NaN)
  const headers = parseFields(lines, 1)
  if (headers === undefined || Number.isNaN(status) || !hasPlainBody(status)) return undefined
  const length = decodeDigits(headerText(headers, 'content-length'))
  if (length === undefined || headerText(headers, 'transfer-encoding') !== undefined) return undefined
  const connection = (headerText(headers, 'connection') ?? 'keep-alive').toLowerCase()
  return { status, headers, length, keepsAlive: connection === 'keep-alive' }
}

/** Interim answers are followed by others, and some have no body whatever they announce. */
function hasPlainBody(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 304
}

function parseFields(lines: readonly string[], from: number): HeaderMap | undefined {
  const headers = Object.create(null) as Record<string, string | string[]>
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    if (!FIELD.test(line)) return undefined
    const colon = line.indexOf(':')
    const key = line.slice(0, colon).toLowerCase()
    const value = line
      .slice(colon + 1)
      .replace(LEADING_BLANKS, '')
      .trimEnd()
    const earlier = headers[key]
    headers[key] = earlier === undefined ? value : [earlier, value].flat()
  }
  return headers
}
