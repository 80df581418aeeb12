import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BufferPool } from '../lib/buffer-pool.ts'
import { SECURITY_HEADERS } from '../lib/http-refusal.ts'
import { pumpBytes, type ByteSource } from '../lib/pump-bytes.ts'
import { chooseRange, namesTag, type RangeChoice } from './byte-range.ts'
import { MirrorError } from './mirror-error.ts'

/** What a file answer needs to know; `open` is called only when bytes are sent that are not here. */
export interface FileAnswer {
  readonly size: number
  /** With its quotes. */
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  /** The whole content, where it is in memory. */
  readonly bytes: Buffer | undefined
  open(): Promise<ByteSource & AsyncDisposable>
}

/**
 * Answers GET or HEAD for one file: 200, 206 for a single range, 304, 412 or 416. A range with an `If-Range` that is not
 * this very tag gets the whole file. The head is sent before the first byte is read; a file that then turns out short
 * cuts the connection.
 */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  answer: FileAnswer,
  pool: BufferPool,
): Promise<void> {
  const { headers } = request
  const shared = { ...SECURITY_HEADERS, 'Accept-Ranges': 'bytes', ETag: answer.etag, ...answer.headers }
  if (headers['if-match'] !== undefined && !namesTag(headers['if-match'], answer.etag)) {
    throw new MirrorError(412, 'PreconditionFailed', 'The file has another ETag', shared)
  }
  if (headers['if-none-match'] !== undefined && namesTag(headers['if-none-match'], answer.etag)) {
    response.writeHead(304, shared)
    response.end()
    return
  }
  const isHead = request.method === 'HEAD'
  const range = isHead ? ALL : rangeOf(request, answer)
  if (range.kind === 'unsatisfiable') {
    throw new MirrorError(416, 'RangeNotSatisfiable', `The file has ${answer.size} bytes`, {
      ...answer.headers,
      'Accept-Ranges': 'bytes',
      'Content-Range': `bytes */${answer.size}`,
    })
  }
  const { start, end } = range.kind === 'part' ? range : { start: 0, end: answer.size }
  const status = range.kind === 'part' ? 206 : 200
  const head = { ...shared, 'Content-Length': end - start, ...contentRange(request, range, answer.size) }
  if (isHead || answer.size === 0) {
    response.writeHead(status, head)
    response.end()
  } else if (answer.bytes !== undefined) {
    response.writeHead(status, head)
    response.end(status === 200 ? answer.bytes : answer.bytes.subarray(start, end))
  } else {
    await using source = await answer.open()
    response.writeHead(status, head)
    await pumpBytes(source, response, { start, end }, pool)
  }
}

const ALL: RangeChoice = { kind: 'all' }

function rangeOf(request: IncomingMessage, answer: FileAnswer): RangeChoice {
  const { range, 'if-range': ifRange } = request.headers
  if (range === undefined || answer.size === 0) return ALL
  // A date never matches: no Last-Modified is sent.
  if (ifRange !== undefined && ifRange !== answer.etag) return ALL
  return chooseRange(range, answer.size)
}

/** For an empty file a range cannot be satisfied, and the Hub's JavaScript client takes a 416 for a failure. */
function contentRange(request: IncomingMessage, range: RangeChoice, size: number): Record<string, string> {
  if (range.kind === 'part') return { 'Content-Range': `bytes ${range.start}-${range.end - 1}/${size}` }
  return size === 0 && request.headers.range !== undefined ? { 'Content-Range': 'bytes 0-0/0' } : {}
}
