import { decodeDigits } from '../domain/decode.ts'
import { type ArchiveError, errorCodeOf } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { HubFile } from '../hub-port.ts'
import type { ByteSink } from '../intake-port.ts'
import { readQuota } from './ask-hub.ts'
import { backOffMs, limitedBackOffMs, MAX_ATTEMPTS } from './back-off.ts'
import { endpointTarget, isEndpoint, resolvePath } from './endpoint.ts'
import { readBeginning } from './http-body.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { headerText, parseContentEtag, parseRetryAfter } from './http-headers.ts'
import { type HubContext, requestHeaders } from './hub-context.ts'
import { answerInvalid, readRefusal, redirectRefused } from './hub-errors.ts'
import { readRedirect } from './redirects.ts'
import { describeFile, fileRefusal } from './resolve-file.ts'
import { transferError, transferFailure, transferRefusal } from './transfer-errors.ts'
import { TransportError } from './transport-error.ts'
import { type Target, targetHost } from './url-target.ts'

const MAX_REDIRECTS = 5
/** A redirect's own text; it is read so that its connection stays usable. */
const MAX_REDIRECT_TEXT = 16 * 1024
const MAX_REFUSAL_TEXT = 64 * 1024
/** What may pass in a moment. */
const MAY_PASS = ['HUB_UNREACHABLE', 'TRANSFER_INTERRUPTED', 'TRANSFER_STALLED', 'LINK_EXPIRED']

/** The whole of a small file in one request where the Hub answers directly. See `HubSource.fetchSmall`. */
export async function fetchSmall(
  context: HubContext,
  file: HubFile,
  into: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly etag: string | undefined }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetchOnce(context, file, into, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (attempt >= MAX_ATTEMPTS || !MAY_PASS.includes(errorCodeOf(error))) throw error
      const { host, retryAfterMs } = (error as ArchiveError).details
      const asked = typeof retryAfterMs === 'number' ? retryAfterMs : undefined
      const waitMs = backOffMs(attempt, context.random(), asked)
      context.log.warn({ host, attempt, waitMs, code: errorCodeOf(error), err: error }, 'small file not fetched')
      if (waitMs >= 1000)
        context.onWaiting(`${String(host)}: ${(error as Error).message}`, context.clock.now() + waitMs)
      await context.clock.sleep(waitMs, signal)
    }
  }
}

async function fetchOnce(
  context: HubContext,
  file: HubFile,
  into: Uint8Array,
  signal: AbortSignal,
): Promise<{ etag: string | undefined }> {
  const what = describeFile(file)
  let target = endpointTarget(context.endpoint, resolvePath(file))
  let etag: string | undefined
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const answer = await send(context, what, target, signal)
    try {
      if (isEndpoint(context.endpoint, target)) etag = contentOf(file, answer, { what, size: into.length }) ?? etag
      const next = readRedirect(context, answer, target, what)
      if (next === undefined) {
        await readInto(context, answer, { what, target, into }, signal)
        return { etag }
      }
      await readBeginning(answer, MAX_REDIRECT_TEXT)
      target = next
    } finally {
      answer.discard()
    }
  }
  throw redirectRefused(what, `there were more than ${MAX_REDIRECTS}`)
}

async function send(context: HubContext, what: string, target: Target, signal: AbortSignal): Promise<HttpAnswer> {
  const { headersMs, idleMs, answerMs } = context.deadlines
  const headers = requestHeaders(context, target, { accept: '*/*', 'accept-encoding': 'identity' })
  // File bytes from the Hub's own address may be charged to its quota; those from a CDN are not.
  const route = target.path.includes('/resolve/') ? 'resolve' : 'resolve-cache'
  const permit = isEndpoint(context.endpoint, target) ? await context.quota.enter(route, signal) : undefined
  let isAnswered = false
  try {
    const limits = { headersMs, idleMs, totalMs: answerMs }
    const answer = await context.small.ask({ method: 'GET', target, headers }, limits, signal)
    isAnswered = true
    const quota = readQuota(answer.headers)
    permit?.leave(quota)
    if (answer.status === 429 && quota?.remaining !== 0) {
      // Without a known reset everything of this quota waits, not only this file.
      const nowMs = context.clock.now()
      const askedMs = parseRetryAfter(headerText(answer.headers, 'retry-after'), nowMs)
      permit?.block(nowMs + limitedBackOffMs(1, context.random(), askedMs))
    }
    return answer
  } catch (thrown) {
    throw thrown instanceof TransportError ? transferError(thrown, what, target) : thrown
  } finally {
    if (!isAnswered) permit?.leave('failed')
  }
}

/** What the Hub's own answer says it is about: checked against the commit and size that were asked for. */
function contentOf(
  file: HubFile,
  answer: HttpAnswer,
  expected: { readonly what: string; readonly size: number },
): string | undefined {
  const { what, size } = expected
  const commit = headerText(answer.headers, 'x-repo-commit')
  if (commit !== undefined && commit !== file.commit) {
    throw answerInvalid(what, `it is about another commit (${displayName(commit.slice(0, 60))})`)
  }
  const linkedSize = headerText(answer.headers, 'x-linked-size')
  if (linkedSize !== undefined && decodeDigits(linkedSize) !== size) {
    throw answerInvalid(what, `its size is ${displayName(linkedSize.slice(0, 20))}, the listing says ${size}`)
  }
  return parseContentEtag(headerText(answer.headers, 'x-linked-etag') ?? headerText(answer.headers, 'etag'))
}

async function readInto(
  context: HubContext,
  answer: HttpAnswer,
  to: { readonly what: string; readonly target: Target; readonly into: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  const { what, target, into } = to
  if (answer.status !== 200) throw await refusalOf(context, answer, to)
  const coding = headerText(answer.headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity') throw invalid(what, `the bytes are coded ("${coding.slice(0, 40)}")`)
  const length = headerText(answer.headers, 'content-length')
  if (length !== undefined && decodeDigits(length) !== into.length) {
    throw invalid(what, `${displayName(length.slice(0, 20))} bytes are announced where ${into.length} belong`)
  }
  // The length was announced, so exactly that much comes.
  if (answer.into !== undefined && length !== undefined) {
    return moveInto((sink, during) => answer.into!(sink, during), to, signal)
  }
  let position = 0
  for (let chunk = await nextChunk(answer, to); chunk !== undefined; chunk = await nextChunk(answer, to)) {
    if (position + chunk.length > into.length) throw invalid(what, `more than ${into.length} bytes came`)
    into.set(chunk, position)
    position += chunk.length
  }
  if (position === into.length) return
  const reason = `${into.length - position} of ${into.length} bytes did not come`
  throw transferFailure('TRANSFER_INTERRUPTED', what, reason, { host: targetHost(target) })
}

async function moveInto(
  move: NonNullable<HttpAnswer['into']>,
  { what, target, into }: { readonly what: string; readonly target: Target; readonly into: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  let rest = into
  const sink: ByteSink = {
    view: () => rest,
    filled: (count) => {
      rest = rest.subarray(count)
    },
    room: () => Promise.resolve(),
  }
  try {
    await move(sink, signal)
  } catch (thrown) {
    throw thrown instanceof TransportError ? transferError(thrown, what, target) : thrown
  }
}

/** The Hub says itself what is wrong with a file or its repository; storage elsewhere only that it has none. */
async function refusalOf(
  context: HubContext,
  answer: HttpAnswer,
  { what, target }: { readonly what: string; readonly target: Target },
): Promise<ArchiveError> {
  const { status, headers } = answer
  const isSaid = isEndpoint(context.endpoint, target) && [401, 403, 404, 410, 451].includes(status)
  if (!isSaid) return transferRefusal(context, what, answer, target)
  return fileRefusal(readRefusal(status, headers, await readBeginning(answer, MAX_REFUSAL_TEXT)), what)
}

async function nextChunk(
  answer: HttpAnswer,
  { what, target }: { readonly what: string; readonly target: Target },
): Promise<Uint8Array | undefined> {
  try {
    return await answer.next()
  } catch (thrown) {
    throw thrown instanceof TransportError ? transferError(thrown, what, target) : thrown
  }
}

function invalid(what: string, reason: string): ArchiveError {
  return transferFailure('TRANSFER_INVALID', what, reason, {})
}
