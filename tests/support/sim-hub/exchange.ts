/** One request and its answer: reads it, asks the routes, applies the faults, sends. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { cdnRoute } from './cdn.ts'
import type { Fault } from './fault-types.ts'
import { changeReply, replacedReply } from './faults.ts'
import { hostileJson } from './json-text.ts'
import { seededHex, seededRandom } from './random.ts'
import { bucketOf, type Bucket, type RateLimiter } from './rate-limit.ts'
import { errorReply, textReply, type Reply } from './reply.ts'
import { callerOf, type Caller, type HubContext, type HubRequest } from './request.ts'
import { hubRoute } from './routes.ts'
import { sendBody } from './send-body.ts'
import { bytesContent } from './stored-file.ts'
import type { SeenRequest } from './types.ts'

const BODY_LIMIT = 8 * 1024 * 1024
const EXPOSED =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash'
const WARNING =
  'unauthenticated; You are sending unauthenticated requests to the HF Hub. Please set a HF_TOKEN to enable higher rate limits and faster downloads.'

export type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** What one origin needs to answer. */
export interface Exchange {
  readonly origin: 'hub' | 'cdn'
  readonly context: HubContext
  readonly limiter: RateLimiter
  readonly faultFor: (request: SeenRequest) => Fault
  /** Records a request and tells its number, from 0. */
  readonly record: (request: SeenRequest) => number
  readonly onFileBytes: (bytes: number) => void
}

/** Answers one request; never throws. */
export async function answer(exchange: Exchange, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const target = incoming.url ?? ''
  const host = new URL(exchange.origin === 'hub' ? exchange.context.url : exchange.context.cdnUrl).host
  const seen: Writable<SeenRequest> = {
    origin: exchange.origin,
    method: incoming.method ?? '',
    path: target,
    headers: flatHeaders(incoming),
    bucket: undefined,
    status: 0,
    foreignHost: incoming.headers.host !== host,
  }
  const number = exchange.record(seen)
  try {
    const fault = exchange.faultFor(seen)
    if (fault.stall === 'before-headers') return
    if (fault.rawReply !== undefined) {
      response.socket?.end(fault.rawReply)
      return
    }
    const reply = changeReply(await replyTo(exchange, incoming, seen, fault), fault, seen)
    seen.status = reply.status
    await send(exchange, response, reply, { seen, fault, number })
  } catch (error) {
    failLoudly(response, error)
  }
}

async function replyTo(
  exchange: Exchange,
  incoming: IncomingMessage,
  seen: Writable<SeenRequest>,
  fault: Fault,
): Promise<Reply> {
  const { context, limiter, origin } = exchange
  if (seen.foreignHost) return textReply(421, 'Misdirected Request: this server has another name')
  if (!seen.path.startsWith('/')) return textReply(400, 'Bad Request')
  const [rawPath = '', ...queryParts] = seen.path.split('?')
  const rawQuery = queryParts.join('?')
  const caller = callerOf(seen.headers['authorization'], context.options.tokens)
  const bucket = origin === 'hub' ? bucketOf(rawPath) : undefined
  seen.bucket = bucket
  const isWithin = bucket === undefined || limiter.charge(caller, bucket)
  const shared = origin === 'hub' ? sharedHeaders(limiter, caller, bucket) : { 'X-Cache': 'Miss from cloudfront' }
  const request: HubRequest = {
    method: seen.method,
    rawPath,
    segments: rawPath.slice(1).split('/'),
    rawQuery,
    query: new URLSearchParams(rawQuery),
    headers: seen.headers,
    caller,
    body: await readBody(incoming),
    fault,
  }
  const url = (origin === 'hub' ? context.url : context.cdnUrl) + seen.path
  const route = () => (origin === 'hub' ? hubRoute(context, request) : cdnRoute(context, request))
  const tooMany = isWithin ? undefined : errorReply(429, 'We had to rate limit you. Please retry later.')
  const reply = replacedReply(fault, { url, rateLimit: shared }) ?? tooMany ?? (await route())
  return { ...reply, headers: { ...shared, ...reply.headers } }
}

function sharedHeaders(limiter: RateLimiter, caller: Caller, bucket: Bucket | undefined): Record<string, string> {
  return {
    'X-Powered-By': 'huggingface-moon',
    'Access-Control-Expose-Headers': EXPOSED,
    ...limiter.headers(caller, bucket ?? 'resolvers'),
    ...(caller.kind === 'anonymous' && { 'X-HF-Warning': WARNING }),
  }
}

interface Sending {
  seen: SeenRequest
  fault: Fault
  number: number
}

async function send(exchange: Exchange, response: ServerResponse, reply: Reply, sending: Sending): Promise<void> {
  const { options } = exchange.context
  const { seen, fault, number } = sending
  const random = seededRandom(options.seed * 1_000_003 + number)
  const headers: Record<string, string> = {
    Date: new Date(options.now() + (fault.dateSkewSeconds ?? 0) * 1000).toUTCString(),
    'X-Request-Id': `Root=1-${seededHex(options.seed, `request ${number}`, 32)}`,
  }
  const source = bodySource(reply, fault, random, headers)
  response.sendDate = false
  response.statusCode = reply.status
  for (const some of [headers, reply.headers, fault.setHeaders ?? {}]) setHeaders(response, some)
  if (fault.framing === 'close') {
    response.useChunkedEncodingByDefault = false
    response.shouldKeepAlive = false
  }
  const hasBody = reply.status !== 304 && reply.status !== 204
  const isSized = hasBody && reply.isGzipped !== true && fault.framing === undefined
  if (isSized && !response.hasHeader('Content-Length')) {
    response.setHeader('Content-Length', source.end - source.start + source.extra)
  }
  if (seen.method === 'HEAD' || !hasBody) {
    response.end()
    return
  }
  const isFile = reply.body.kind === 'content'
  const onWritten = (bytes: number) => {
    if (isFile) exchange.onFileBytes(bytes)
  }
  await sendBody(response, source, { fault, pieceBytes: options.pieceBytes, random, onWritten })
}

function setHeaders(response: ServerResponse, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value === '') response.removeHeader(name)
    else response.setHeader(name, value)
  }
}

function bodySource(reply: Reply, fault: Fault, random: () => number, headers: Record<string, string>) {
  const extra = fault.extraBody ?? 0
  if (reply.body.kind === 'content') return { ...reply.body, extra }
  let bytes: Uint8Array = reply.body.kind === 'bytes' ? reply.body.bytes : Buffer.alloc(0)
  if (reply.body.kind === 'json') {
    let text = hostileJson(reply.body.value, random)
    if (fault.timesWithoutMilliseconds === true) text = text.replaceAll(/(T\d\d:\d\d:\d\d)\.\d{3}Z/g, '$1Z')
    bytes = Buffer.from(text)
    headers['Content-Type'] = 'application/json; charset=utf-8'
    headers['ETag'] =
      `W/"${bytes.length.toString(16)}-${createHash('sha1').update(bytes).digest('base64').slice(0, 27)}"`
  }
  if (fault.mutateBody !== undefined) bytes = fault.mutateBody(bytes)
  return { content: bytesContent(bytes), start: 0, end: bytes.length, extra }
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT) throw new Error('request body over 8 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function flatHeaders(incoming: IncomingMessage): Record<string, string | undefined> {
  const pairs = Object.entries(incoming.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ])
  return Object.fromEntries(pairs) as Record<string, string | undefined>
}

/** A mistake inside the simulation must fail the test that met it, not look like the Hub. */
function failLoudly(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.writeHead(599, 'Simulated Hub Failed', { 'Content-Type': 'text/plain' })
  response.end(error instanceof Error ? error.stack : String(error))
}
