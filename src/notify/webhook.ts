import { createHmac } from 'node:crypto'
import type { Alert } from '../domain/alert.ts'
import { alertBody, plainForm } from '../domain/alert-body.ts'
import { eventJson } from '../domain/event-json.ts'
import { postOnce, type PostTarget } from './http-post.ts'

const MAX_BODY_CHARACTERS = 256 * 1024
const MAX_TEXT_CHARACTERS = 20_000

/**
 * Posts a message as JSON. `Idempotency-Key` is the same at every try. With a secret, `X-Weightvault-Signature` is
 * `sha256=` and the hex HMAC-SHA256 of `<X-Weightvault-Timestamp>.<body>`.
 * @throws as postOnce
 */
export async function sendWebhook(
  target: PostTarget & { readonly secret: string | undefined },
  alert: Alert,
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  const body = webhookBody(alert)
  const timestamp = String(Math.floor(nowMs / 1000))
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'weightvault',
    'idempotency-key': alert.id,
    'x-weightvault-event': alert.id,
    'x-weightvault-timestamp': timestamp,
  }
  if (target.secret !== undefined) headers['x-weightvault-signature'] = webhookSignature(target.secret, timestamp, body)
  await postOnce(target, { headers, body }, signal)
}

/** Value of `X-Weightvault-Signature`. */
export function webhookSignature(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`
}

/** Details are left out where the whole would be too long for receivers; the log has them under the same id. */
function webhookBody(alert: Alert): string {
  const { id, kind, severity, at, title, happened, means, holds, todo, events, furtherIds } = alert
  const text = alertBody(alert, plainForm(MAX_TEXT_CHARACTERS))
  const frame = { id, kind, severity, at, title, text, happened, means, holds, todo }
  const full = JSON.stringify({ ...frame, events: events.map(eventJson), furtherIds })
  if (full.length <= MAX_BODY_CHARACTERS) return full
  const brief = events.map((event) => ({ ...eventJson(event), before: null, after: null, detail: {} }))
  return JSON.stringify({ ...frame, events: brief, furtherIds, detailsLeftOut: true })
}
