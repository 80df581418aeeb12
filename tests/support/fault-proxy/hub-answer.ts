import { type Agent, type IncomingMessage, request as httpRequest, STATUS_CODES } from 'node:http'
import type { ClientRequest } from './client-requests.ts'
import type { WireFault } from './wire-fault.ts'

/** Where requests really go, and what the world is told instead. */
export interface Route {
  readonly from: string
  readonly to: string
}

/** An answer before it is written. */
export interface HubAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** How the body is written: by its length, in chunks, or until the connection ends. */
  readonly framing: 'length' | 'chunked' | 'close'
  /** Bytes of the body, where the answer says so. */
  readonly length: number | undefined
  /** Offset in the file of the first byte of the body. */
  readonly fileStart: number
  readonly body: AsyncIterable<Uint8Array>
  /** Lets go of an answer that is not read to its end. */
  drop(): void
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive'])

/**
 * Asks the simulated Hub what the client asked.
 * @param routes addresses in answers that become the proxy's own
 */
export async function askUpstream(
  request: ClientRequest,
  upstream: string,
  agent: Agent,
  routes: readonly Route[],
): Promise<HubAnswer> {
  const { host } = new URL(upstream)
  const headers = request.rawHeaders.map((text, at) =>
    at % 2 === 1 && request.rawHeaders[at - 1]?.toLowerCase() === 'host' ? host : text,
  )
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const asked = httpRequest(upstream, { method: request.method, path: request.path, headers, agent })
  asked.on('response', resolve).on('error', reject).end()
  return describe(await promise, request.method, routes)
}

function describe(incoming: IncomingMessage, method: string, routes: readonly Route[]): HubAnswer {
  const status = incoming.statusCode ?? 0
  const headers: [string, string][] = []
  for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = incoming.rawHeaders.slice(at, at + 2)
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push([name, reroute(value, routes)])
  }
  const said = incoming.headers['content-length']
  const isBare = method === 'HEAD' || status === 204 || status === 304
  const isChunked = incoming.headers['transfer-encoding'] !== undefined
  return {
    status,
    headers,
    framing: isChunked ? 'chunked' : said === undefined && !isBare ? 'close' : 'length',
    length: isBare ? 0 : said === undefined ? undefined : Number(said),
    fileStart: Number(/^bytes (\d+)-/.exec(incoming.headers['content-range'] ?? '')?.[1] ?? 0),
    body: incoming,
    drop: () => incoming.destroy(),
  }
}

function reroute(value: string, routes: readonly Route[]): string {
  return routes.reduce((text, { from, to }) => text.replaceAll(from, to), value)
}

/** The answer a fault puts in place of the Hub's. */
export function inventedAnswer(answer: NonNullable<WireFault['answer']>): HubAnswer {
  const bytes = Buffer.from(answer.body ?? '')
  return {
    status: answer.status,
    headers: [...Object.entries(answer.headers ?? {}), ['Content-Length', String(bytes.length)]],
    framing: 'length',
    length: bytes.length,
    fileStart: 0,
    body: (async function* () {
      yield bytes
    })(),
    drop: () => undefined,
  }
}

/** Status line and headers, with what the fault says in place of the truth. */
export function headOf(answer: HubAnswer, fault: WireFault | undefined): Buffer {
  const status = fault?.status ?? answer.status
  const lies = new Map(Object.entries(fault?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  const honest = answer.headers.filter(([name]) => !lies.has(name.toLowerCase()))
  const told = Object.entries(fault?.headers ?? {}).flatMap(([name, value]) =>
    value === null ? [] : (typeof value === 'string' ? [value] : value).map((one) => [name, one] as const),
  )
  const close = answer.framing === 'close' ? [['Connection', 'close'] as const] : []
  const lines = [...honest, ...told, ...close].map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Status'}\r\n${lines.join('')}\r\n`, 'latin1')
}
