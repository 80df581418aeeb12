import type { IncomingMessage, ServerResponse } from 'node:http'
import { SECURITY_HEADERS } from '../lib/http-refusal.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import type { Answer } from './answer.ts'
import { BoundedCache } from './bounded-cache.ts'

/** Bytes of answers that are kept. */
const MOST_BYTES = 24_000_000

/** JSON answers that were just given, ready to be sent again without a framework in between. */
export class HotAnswers {
  readonly #answers = new BoundedCache<string, Answer>(MOST_BYTES)

  /** @param version of the archive that the answer must be made from */
  get(url: string, visitor: Visitor, version: number): Answer | undefined {
    return this.#answers.get(keyOf(url, visitor, version))
  }

  set(url: string, visitor: Visitor, version: number, answer: Answer): void {
    this.#answers.set(keyOf(url, visitor, version), answer, answer.body.length + url.length + 1000)
  }
}

/** What a visitor may see depends on the token, so no answer is ever given to one of the other kind. */
function keyOf(url: string, visitor: Visitor, version: number): string {
  return `${version} ${visitor.hasToken} ${url}`
}

/** The headers of an answer; links lead back to where the visitor asked. */
export function headersOf(answer: Answer, visitor: Visitor): Record<string, string> {
  return {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(answer.body.length),
    'Cache-Control': 'no-cache',
    ETag: answer.etag,
    ...answer.headers,
    ...(answer.next === undefined ? {} : { Link: `<${visitor.origin}${answer.next}>; rel="next"` }),
  }
}

/** Sends an answer to GET or HEAD. */
export function sendAnswer(request: IncomingMessage, response: ServerResponse, visitor: Visitor, answer: Answer): void {
  const headers: Record<string, string> = { ...SECURITY_HEADERS, ...headersOf(answer, visitor) }
  if (request.headers['if-none-match'] === answer.etag) {
    delete headers['Content-Length']
    response.writeHead(304, headers)
    response.end()
    return
  }
  response.writeHead(200, headers)
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}
