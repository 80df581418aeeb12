import { decodeDigits } from '../domain/decode.ts'
import type { ArchiveError } from '../domain/errors.ts'
import type { RangeBody, ResolvedFile } from '../hub-port.ts'
import { readQuota } from './ask-hub.ts'
import { NotPlainError } from './bulk-connection.ts'
import { isEndpoint } from './endpoint.ts'
import type { ExchangeLimits, HttpAnswer, HttpRequest } from './http-exchange.ts'
import { headerText, parseContentEtag, parseContentRange } from './http-headers.ts'
import { type HubContext, requestHeaders } from './hub-context.ts'
import { redirectRefused } from './hub-errors.ts'
import { readRedirect } from './redirects.ts'
import { describeFile } from './resolve-file.ts'
import { createRangeBody } from './range-body.ts'
import { transferError, transferFailure, transferRefusal } from './transfer-errors.ts'
import { TransportError } from './transport-error.ts'
import { readTarget, type Target } from './url-target.ts'

const MAX_REDIRECTS = 5

/** What was asked for. */
interface Wanted {
  readonly resolved: ResolvedFile
  readonly start: number
  readonly end: number
  readonly what: string
}

/** Opens bytes `[start, end)` of a resolved file. See `HubSource.openRange`. */
export async function openRange(
  context: HubContext,
  resolved: ResolvedFile,
  range: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<RangeBody> {
  const wanted: Wanted = { resolved, start: range.start, end: range.end, what: describeFile(resolved.file) }
  const reading = readTarget(resolved.url, undefined)
  if (reading.kind === 'refused') throw redirectRefused(wanted.what, reading.reason)
  let { target } = reading
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await send(context, wanted, target, signal)
    try {
      const next = readRedirect(context, answer, target, wanted.what)
      if (next === undefined) return await judge(context, wanted, answer, target)
      answer.discard()
      target = next
    } catch (thrown) {
      answer.discard()
      throw thrown
    }
  }
  throw redirectRefused(wanted.what, `there were more than ${MAX_REDIRECTS}`)
}

function limitsOf({ deadlines }: HubContext): ExchangeLimits {
  return { headersMs: deadlines.headersMs, idleMs: deadlines.idleMs, totalMs: deadlines.transferMs }
}

function requestFor(context: HubContext, wanted: Wanted, target: Target): HttpRequest {
  // Any coding but identity makes a CDN ignore the range, and the bytes are not the file's.
  const extra: Record<string, string> = { accept: '*/*', 'accept-encoding': 'identity' }
  if (wanted.end > 0) extra['range'] = `bytes=${wanted.start}-${wanted.end - 1}`
  return { method: 'GET', target, headers: requestHeaders(context, target, extra) }
}

async function send(context: HubContext, wanted: Wanted, target: Target, signal: AbortSignal): Promise<HttpAnswer> {
  // File bytes from the Hub's own address may be charged to its quota; those from a CDN are not.
  const route = target.path.includes('/resolve/') ? 'resolve' : 'resolve-cache'
  const permit = isEndpoint(context.endpoint, target) ? await context.quota.enter(route, signal) : undefined
  let isAnswered = false
  try {
    const answer = await context.bulk.ask(requestFor(context, wanted, target), limitsOf(context), signal)
    isAnswered = true
    permit?.leave(readQuota(answer.headers))
    return answer
  } catch (thrown) {
    throw thrown instanceof TransportError ? transferError(thrown, wanted.what, target) : thrown
  } finally {
    if (!isAnswered) permit?.leave('failed')
  }
}

async function judge(context: HubContext, wanted: Wanted, answer: HttpAnswer, target: Target): Promise<RangeBody> {
  const { status } = answer
  if (status !== 200 && status !== 206) throw await transferRefusal(context, wanted.what, answer, target)
  const coding = headerText(answer.headers, 'content-encoding')
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') {
    throw invalid(wanted, `the bytes are coded ("${coding.slice(0, 40)}")`)
  }
  requireSameContent(context, wanted, answer, target)
  const length = contentLength(wanted, answer)
  const { start, end, total } = status === 206 ? partOf(wanted, answer) : wholeOf(wanted, length)
  if (wanted.resolved.size !== undefined && total !== wanted.resolved.size) {
    throw invalid(wanted, `the file has ${total} bytes, not ${wanted.resolved.size} as the Hub said`)
  }
  if (length !== undefined && length !== end - start) {
    throw invalid(wanted, `${length} bytes are announced where ${end - start} belong`)
  }
  return createRangeBody(
    answer,
    { start, length: end - start, totalSize: total },
    {
      explain: (thrown) => (thrown instanceof TransportError ? transferError(thrown, wanted.what, target) : thrown),
      ahead: (next, nextSignal) => askAhead(context, { ...wanted, ...next }, { before: answer, target }, nextSignal),
    },
  )
}

/** The next range of the same file on the same connection; undefined where that cannot be. */
function askAhead(
  context: HubContext,
  wanted: Wanted,
  { before, target }: { readonly before: HttpAnswer; readonly target: Target },
  signal: AbortSignal,
): Promise<RangeBody> | undefined {
  // What the Hub itself serves may be charged to its quota, and has to ask for a place first.
  if (isEndpoint(context.endpoint, target)) return undefined
  const sent = before.ahead?.(requestFor(context, wanted, target), limitsOf(context), signal)
  return sent && judgeAhead(context, wanted, sent, target)
}

async function judgeAhead(
  context: HubContext,
  wanted: Wanted,
  sent: Promise<HttpAnswer>,
  target: Target,
): Promise<RangeBody> {
  let answer: HttpAnswer
  try {
    answer = await sent
  } catch (thrown) {
    if (thrown instanceof NotPlainError) throw invalid(wanted, 'the answer is not plain HTTP')
    throw thrown instanceof TransportError ? transferError(thrown, wanted.what, target) : thrown
  }
  try {
    return await judge(context, wanted, answer, target)
  } catch (thrown) {
    answer.discard()
    throw thrown
  }
}

/** The Hub's own answers say what they are about; a CDN's ETag is a hash of another kind. */
function requireSameContent(context: HubContext, wanted: Wanted, answer: HttpAnswer, target: Target): void {
  if (!isEndpoint(context.endpoint, target)) return
  const commit = headerText(answer.headers, 'x-repo-commit')
  if (commit !== undefined && commit !== wanted.resolved.file.commit)
    throw invalid(wanted, 'it is about another commit')
  const etag = parseContentEtag(headerText(answer.headers, 'x-linked-etag') ?? headerText(answer.headers, 'etag'))
  if (etag === undefined || wanted.resolved.etag === undefined || etag === wanted.resolved.etag) return
  throw invalid(wanted, 'the content changed since it was resolved')
}

function contentLength(wanted: Wanted, answer: HttpAnswer): number | undefined {
  const text = headerText(answer.headers, 'content-length')
  if (text === undefined) return undefined
  const length = decodeDigits(text)
  if (length === undefined || headerText(answer.headers, 'transfer-encoding') !== undefined) {
    throw invalid(wanted, 'its length is announced in two ways or not as a number')
  }
  return length
}

function partOf(wanted: Wanted, answer: HttpAnswer): { start: number; end: number; total: number } {
  if (/multipart/i.test(headerText(answer.headers, 'content-type') ?? '')) {
    throw invalid(wanted, 'it came in several parts')
  }
  const range = parseContentRange(headerText(answer.headers, 'content-range'))
  if (range === undefined) throw invalid(wanted, 'it does not say which bytes it holds')
  if (range.start !== wanted.start || range.end !== wanted.end) {
    throw invalid(wanted, `it holds bytes ${range.start} to ${range.end}, not ${wanted.start} to ${wanted.end}`)
  }
  return range
}

function wholeOf(wanted: Wanted, length: number | undefined): { start: number; end: number; total: number } {
  const total = length ?? wanted.resolved.size
  if (total === undefined) throw invalid(wanted, 'the whole file came and nobody says how long it is')
  if (wanted.end === 0 && total !== 0) throw invalid(wanted, `an empty file has ${total} bytes`)
  return { start: 0, end: total, total }
}

function invalid(wanted: Wanted, reason: string): ArchiveError {
  return transferFailure('TRANSFER_INVALID', wanted.what, reason, {})
}
