import type { HttpEvidence } from '../hub-port.ts'
import type { HubReply } from './ask-hub.ts'
import { headerText } from './http-headers.ts'
import { quotable, readRefusal } from './hub-errors.ts'

/** What a person needs to judge an answer later. None of these can hold a token or a signed link. */
const KEPT_HEADERS = [
  'date',
  'server',
  'via',
  'content-type',
  'www-authenticate',
  'x-error-code',
  'x-error-message',
  'x-repo-commit',
  'x-request-id',
  'ratelimit',
  'retry-after',
]

/** What an answer of the Hub proves, for records: status, reason, chosen headers, time. No secrets, no links. */
export function evidenceOf(reply: HubReply, nowMs: number): HttpEvidence {
  const headers: Record<string, string> = {}
  for (const name of KEPT_HEADERS) {
    const value = quotable(headerText(reply.headers, name))
    if (value !== undefined) headers[name] = value
  }
  const { status } = reply
  const refusal = status < 400 ? undefined : readRefusal(status, reply.headers, reply.body)
  return {
    status,
    errorCode: refusal?.errorCode,
    errorMessage: refusal?.errorMessage,
    headers,
    at: new Date(nowMs).toISOString(),
  }
}
