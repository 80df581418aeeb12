import type { IncomingMessage, ServerResponse } from 'node:http'

/** An answer of 400 or above. `code` is a word for programs, `message` a sentence for people. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Sent with every answer: nothing of ours is framed, sniffed, run or read by pages of other sites. */
export const SECURITY_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const

/**
 * Answers with a refusal: `X-Error-Code`, `X-Error-Message` and a JSON body. A request whose body was not read ends its
 * connection, so that nobody goes on sending it.
 */
export function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify({ error: refusal.message }))
  response.writeHead(refusal.status, {
    ...SECURITY_HEADERS,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Error-Code': refusal.code,
    'X-Error-Message': headerText(refusal.message),
    ...(hasBody(request) && !request.complete ? { Connection: 'close' } : {}),
    ...refusal.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** The same for what is no HTTP that we understand: there is only a socket then. */
export function rawRefusal(status: number, reason: string, code: string): string {
  const body = JSON.stringify({ error: reason })
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Error-Code: ${code}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

/** Whether the request announces a body, even an empty one of chunks. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** A text that may hold anything, as the value of a header: printable ASCII of bounded length. */
export function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 500)
}
