/** An answer as data: routes make it, faults change it, one function sends it. */
import type { Content } from '../content/content.ts'

export type ReplyBody =
  | { kind: 'none' }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'json'; value: unknown }
  /** Bytes `[start, end)` of a file. */
  | { kind: 'content'; content: Content; start: number; end: number }

export interface Reply {
  status: number
  /** An empty value removes the header. */
  headers: Record<string, string>
  body: ReplyBody
  /** gzip and chunked, without Content-Length. */
  isGzipped?: boolean
}

/** 200 with JSON. */
export function jsonReply(value: unknown, headers: Record<string, string> = {}): Reply {
  return { status: 200, headers, body: { kind: 'json', value } }
}

/** A plain text answer. */
export function textReply(status: number, text: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
    body: { kind: 'bytes', bytes: Buffer.from(text) },
  }
}

/** An error as API routes send it. */
export function errorReply(status: number, message: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'X-Error-Message': headerText(message), ...headers },
    body: { kind: 'json', value: { error: message } },
  }
}

/** A redirect with the text the site sends along; its length is the Content-Length, not that of any file. */
export function redirectReply(status: 302 | 307, location: string, headers: Record<string, string> = {}): Reply {
  const word = status === 302 ? 'Found' : 'Temporary Redirect'
  return textReply(status, `${word}. Redirecting to ${location}`, { Location: location, ...headers })
}

/** Text made fit for a header value: controls and non-Latin characters are percent-encoded. */
export function headerText(text: string): string {
  return text.toWellFormed().replaceAll(/[^\u0020-\u007e]/g, (char) => encodeURIComponent(char))
}
