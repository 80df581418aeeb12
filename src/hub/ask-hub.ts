import { ArchiveError } from '../domain/errors.ts'
import { backOffMs, isRetryable, limitedBackOffMs, MAX_ATTEMPTS } from './back-off.ts'
import { exchange } from './http-exchange.ts'
import { readBeginning, readBody } from './http-body.ts'
import { type HeaderMap, headerText, parseRateLimit, parseRetryAfter, type QuotaReading } from './http-headers.ts'
import { type HubContext, requestHeaders } from './hub-context.ts'
import { answerInvalid, answerTooLarge, SAFE_AND_RETRIED, transportArchiveError } from './hub-errors.ts'
import type { Permit } from './quota.ts'
import { TransportError } from './transport-error.ts'
import { type Target, targetHost } from './url-target.ts'

/** Bytes of one API answer we are ready to hold, coded and decoded. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024

/** One question to the configured Hub. */
export interface HubQuestion {
  readonly method: 'GET' | 'HEAD'
  readonly target: Target
  /** Kind of route, for the quota: `api`, `resolve`. */
  readonly route: string
  /** What is asked for, for messages: "the tree of Qwen/X at abc". */
  readonly what: string
}

/** The Hub's answer, read whole. Any status but 408, 429 and 5xx. */
export interface HubReply {
  readonly status: number
  readonly headers: HeaderMap
  /** Decoded. Of a refusal only the beginning. */
  readonly body: Buffer
}

type Attempt =
  | { readonly kind: 'reply'; readonly reply: HubReply }
  | { readonly kind: 'again'; readonly waitMs: number; readonly error: ArchiveError }

/**
 * Asks within the quota and waits out what passes: broken connections, 408, 429, 5xx. Follows nothing.
 * @throws ArchiveError HUB_UNREACHABLE, HUB_RATE_LIMITED, HUB_ANSWER_INVALID, HUB_ANSWER_TOO_LARGE, or the signal's reason
 */
export async function askHub(context: HubContext, question: HubQuestion, signal: AbortSignal): Promise<HubReply> {
  for (let attempt = 1; ; attempt++) {
    const result = await attemptOnce(context, question, attempt, signal)
    if (result.kind === 'reply') return result.reply
    if (attempt >= MAX_ATTEMPTS) throw result.error
    const host = targetHost(question.target)
    const { waitMs } = result
    context.log.warn(
      { host, attempt, waitMs, code: result.error.code, reason: result.error.message },
      'Hub request failed',
    )
    if (waitMs >= 1000) context.onWaiting(`${host}: ${causeOf(result.error)}`, context.clock.now() + waitMs)
    await context.clock.sleep(waitMs, signal)
  }
}

/** In a few words, for a person who waits: `no connection (ENOTFOUND)`, `it answered with status 503`. */
function causeOf(error: ArchiveError): string {
  if (error.cause instanceof TransportError) return error.cause.message
  return `it answered with status ${String(error.details['status'])}`
}

async function attemptOnce(
  context: HubContext,
  question: HubQuestion,
  attempt: number,
  signal: AbortSignal,
): Promise<Attempt> {
  const permit = await context.quota.enter(question.route, signal)
  try {
    const reply = await fetchReply(context, question, permit, signal)
    if (!isRetryable(reply.status)) return { kind: 'reply', reply }
    return again(context, { question, attempt, permit, reply })
  } catch (thrown) {
    if (!(thrown instanceof TransportError)) throw thrown
    const error = transportArchiveError(thrown, question.what, targetHost(question.target))
    const mayPass = ['unreachable', 'interrupted', 'stalled'].includes(thrown.failure)
    if (!mayPass) throw error
    return { kind: 'again', waitMs: backOffMs(attempt, context.random(), undefined), error }
  }
}

async function fetchReply(
  context: HubContext,
  question: HubQuestion,
  permit: Permit,
  signal: AbortSignal,
): Promise<HubReply> {
  const { method, target, what } = question
  const { headersMs, idleMs, answerMs } = context.deadlines
  // Metadata of a HEAD is about the identity-coded file.
  const coding = method === 'HEAD' ? 'identity' : 'gzip'
  const headers = requestHeaders(context, target, { accept: 'application/json', 'accept-encoding': coding })
  const limits = { headersMs, idleMs, totalMs: answerMs }
  let isAnswered = false
  try {
    const answer = await exchange(context.api, { method, target, headers }, limits, signal)
    isAnswered = true
    permit.leave(readQuota(answer.headers))
    const { status } = answer
    if (status !== 200) return { status, headers: answer.headers, body: await readBeginning(answer, MAX_ERROR_BYTES) }
    const body = await readBody(answer, MAX_ANSWER_BYTES)
    if (body.kind === 'too-large') throw answerTooLarge(what, body.reason)
    if (body.kind === 'undecodable') throw answerInvalid(what, body.reason)
    return { status, headers: answer.headers, body: body.bytes }
  } finally {
    if (!isAnswered) permit.leave('failed')
  }
}

/**
 * What a header pair says about the quota this answer was charged to. Nothing where a cache in front of the Hub answered:
 * it charges nobody, and may repeat what was told to another.
 */
export function readQuota(headers: HeaderMap): QuotaReading | undefined {
  const isFromCache = headerText(headers, 'age') !== undefined || /\bhit\b/i.test(headerText(headers, 'x-cache') ?? '')
  if (isFromCache) return undefined
  return parseRateLimit(headerText(headers, 'ratelimit'), headerText(headers, 'ratelimit-policy'))
}

function again(
  context: HubContext,
  given: { question: HubQuestion; attempt: number; permit: Permit; reply: HubReply },
): Attempt {
  const { question, attempt, permit, reply } = given
  const { status, headers } = reply
  const nowMs = context.clock.now()
  const askedMs = parseRetryAfter(headerText(headers, 'retry-after'), nowMs)
  const host = targetHost(question.target)
  const message = `could not read ${question.what} from ${host}: status ${status}`
  const options = { hint: SAFE_AND_RETRIED, details: { host, status, retryAfterMs: askedMs } }
  if (status !== 429) {
    const error = new ArchiveError('HUB_UNREACHABLE', message, options)
    return { kind: 'again', waitMs: backOffMs(attempt, context.random(), askedMs), error }
  }
  const error = new ArchiveError('HUB_RATE_LIMITED', `${message} (too many requests)`, options)
  const isTimeKnown = readQuota(headers)?.remaining === 0 && askedMs === undefined
  // With r=0 and t the gate knows when to go on; without, everything of this quota waits as long as this request.
  if (isTimeKnown) return { kind: 'again', waitMs: 0, error }
  const waitMs = limitedBackOffMs(attempt, context.random(), askedMs)
  permit.block(nowMs + waitMs)
  return { kind: 'again', waitMs, error }
}
