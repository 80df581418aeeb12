import type { Alert } from '../domain/alert.ts'
import { alertBody, shorten, type TextForm } from '../domain/alert-body.ts'
import type { Severity } from '../domain/events.ts'
import { postOnce, type PostTarget } from './http-post.ts'

/** https://docs.ntfy.sh/publish: a longer message becomes an attachment. */
const MAX_MESSAGE_BYTES = 4096
const MAX_TITLE = 200
const PRIORITIES: Readonly<Record<Severity, number>> = { info: 2, notice: 3, warning: 4, critical: 5 }

/**
 * Publishes a message to a topic of ntfy. As JSON, so that no text becomes a header.
 * @throws as postOnce
 */
export async function sendNtfy(
  target: PostTarget & { readonly secret: string | undefined },
  alert: Alert,
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(target.url)
  const slash = url.pathname.lastIndexOf('/')
  const topic = url.pathname.slice(slash + 1)
  url.pathname = url.pathname.slice(0, slash + 1)
  const form: TextForm = {
    escape: (text) => text,
    strong: (text) => text,
    length: (text) => Buffer.byteLength(text),
    most: MAX_MESSAGE_BYTES,
  }
  const body = JSON.stringify({
    topic,
    title: shorten(alert.title, MAX_TITLE),
    message: alertBody(alert, form),
    priority: PRIORITIES[alert.severity],
    tags: [`weightvault-${alert.severity}`],
  })
  const headers: Record<string, string> = { 'content-type': 'application/json; charset=utf-8' }
  if (target.secret !== undefined) headers['authorization'] = `Bearer ${target.secret}`
  await postOnce({ ...target, url: url.href }, { headers, body }, signal)
}
