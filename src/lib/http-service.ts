import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { hostname } from 'node:os'
import { getRequestListener } from '@hono/node-server'
import { ArchiveError } from '../domain/errors.ts'
import type { Log } from '../log-port.ts'
import { hasBody, rawRefusal, SECURITY_HEADERS, sendRefusal, type Refusal } from './http-refusal.ts'
import { Door, isLoopbackHost, type Visitor } from './http-visitor.ts'

/** Longest request line and headers together, and most headers. */
const MAX_HEADER_BYTES = 32 * 1024
const MAX_HEADERS = 100
const MAX_TARGET = 16 * 1024
/** A whole head must arrive within this, and a whole request within the other. */
const HEAD_DEADLINE_MS = 10_000
const REQUEST_DEADLINE_MS = 30_000
/** A connection on which nothing moves in either direction ends after this. */
const IDLE_MS = 60_000
const KEEP_ALIVE_MS = 15_000
const MAX_CONNECTIONS = 512
/** How long answers that are being sent may go on after the service was asked to close. */
const GRACE_MS = 3000

/** What a fetch handler (such as Hono's `app.fetch`) is given beside the request: `c.env` there. */
export interface HttpEnv {
  readonly visitor: Visitor
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

export interface HttpServiceOptions {
  /** For the log and for errors: `mirror`. */
  readonly name: string
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Bearer token. Required for a host that is not loopback. */
  readonly token: string | undefined
  /**
   * Who asks for the token where the host is not loopback. `service`: no request without it is answered. `handler`: the
   * handlers decide, by `visitor.hasToken` or by a login of their own.
   */
  readonly auth: 'service' | 'handler'
  /** Names besides the host's own: `vault.lan`, or `https://vault.example` where a proxy speaks TLS. */
  readonly names: readonly string[]
  readonly log: Log
  /**
   * Sees every admitted request first; true when it answers it (now or later). For what must not pass a framework. Its
   * answers carry SECURITY_HEADERS, which it has to send itself.
   */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse, visitor: Visitor) => boolean
  /** Answers the rest; its headers replace SECURITY_HEADERS of the same names. What it throws becomes a 500 without details. */
  readonly fetch: (request: Request, env: HttpEnv) => Response | Promise<Response>
  /** Ends the service like its disposal. */
  readonly signal?: AbortSignal
  /** Milliseconds that answers may still take after that. Default: 3 s. */
  readonly graceMs?: number
}

/** A running service. Disposing it takes no new requests, lets answers end for a moment, then cuts them. */
export interface HttpService extends AsyncDisposable {
  /** Where it listens, with the port that the system chose. */
  readonly origin: string
  readonly port: number
}

/**
 * Listens and answers, with limits on everything a visitor sends and on how long it may take.
 * @throws ArchiveError ADDRESS_UNUSABLE when the address is taken or not ours; CONFIG_INVALID without a needed token
 */
export async function startHttpService(options: HttpServiceOptions): Promise<HttpService> {
  const { name, host, token, log } = options
  if (!isLoopbackHost(host) && token === undefined) {
    throw new ArchiveError('CONFIG_INVALID', `the ${name} at ${host} could be reached by anybody`, {
      hint: 'set serve.token, or use 127.0.0.1',
    })
  }
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEAD_DEADLINE_MS,
    requestTimeout: REQUEST_DEADLINE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2000,
    requireHostHeader: false,
    noDelay: true,
  })
  server.maxHeadersCount = MAX_HEADERS
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(IDLE_MS)
  server.on('clientError', refuseUnreadable)
  server.on('request', requestListener(options))
  await listen(server, options)
  const chosen = (server.address() as AddressInfo).port
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`
  log.info({ component: name, origin }, 'service listening')
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= closeServer(server, options.graceMs ?? GRACE_MS))
  const onAbort = (): void => void close()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  if (options.signal?.aborted === true) await close()
  return {
    origin,
    port: chosen,
    [Symbol.asyncDispose]: async () => {
      options.signal?.removeEventListener('abort', onAbort)
      await close()
    },
  }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

function requestListener(options: HttpServiceOptions): Listener {
  const { name, host, token, names, log, intercept, fetch } = options
  const door = new Door({ host, token, names, machineName: hostname() })
  const needsToken = options.auth === 'service' && !isLoopbackHost(host)
  const visitors = new WeakMap<IncomingMessage, Visitor>()
  const failed = (request: IncomingMessage, response: ServerResponse, error: unknown): void => {
    log.error({ component: name, method: request.method, err: error }, 'request failed')
    sendRefusal(request, response, { status: 500, code: 'Internal', message: 'Internal error; the log says more' })
  }
  const listener = getRequestListener(
    async (request, env) => {
      const { incoming, outgoing } = env as { incoming: IncomingMessage; outgoing: ServerResponse }
      return fetch(request, { visitor: visitors.get(incoming)!, incoming, outgoing })
    },
    { overrideGlobalObjects: false, errorHandler: (error) => internalError(name, log, error) },
  )
  return (request, response) => {
    const visitor = refusalOf(request) ?? door.admit(request)
    if ('status' in visitor) {
      sendRefusal(request, response, visitor)
    } else if (needsToken && !visitor.hasToken) {
      sendRefusal(request, response, TOKEN_NEEDED)
    } else {
      try {
        if (intercept?.(request, response, visitor) === true) return
        visitors.set(request, visitor)
        request.url = wellFormed(request.url ?? '/')
        for (const [header, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(header, value)
        listener(request, response).catch((error: unknown) => failed(request, response, error))
      } catch (error) {
        failed(request, response, error)
      }
    }
  }
}

/** Said to a visitor without the token. */
export const TOKEN_NEEDED: Refusal = {
  status: 401,
  code: 'TokenNeeded',
  message: 'The token of this service is needed: Authorization: Bearer <serve.token>',
  headers: { 'WWW-Authenticate': 'Bearer realm="Authentication required", charset="UTF-8"' },
}

/** What no handler should ever see. */
function refusalOf(request: IncomingMessage): Refusal | undefined {
  const { method = '', url = '', headers } = request
  if (url.length > MAX_TARGET) return { status: 414, code: 'BadRequest', message: 'The address is too long' }
  if (!/^\/(?!\/)[\x21-\x7e]*$/.test(url)) {
    return { status: 400, code: 'BadRequest', message: 'Only a path of this service can be asked for' }
  }
  // Programs fold such steps before they ask; what is left of them is meant to be folded by somebody else.
  if (/^[^?]*\/(\.|%2e){1,2}([/?]|$)/i.test(url)) {
    return { status: 400, code: 'BadRequest', message: 'An address has no "." or ".." steps' }
  }
  const isRead = method === 'GET' || method === 'HEAD'
  if (isRead && hasBody(request)) {
    return {
      status: 400,
      code: 'BadRequest',
      message: `A ${method} has no body here`,
      headers: { Connection: 'close' },
    }
  }
  // A page of another site may send a form here without being allowed to read the answer.
  if (!isRead && headers.origin !== undefined && !isOwnOrigin(headers.origin, headers.host)) {
    return { status: 403, code: 'OriginNotAllowed', message: 'Requests from pages of other sites are refused' }
  }
  return undefined
}

/** Encodes what some clients send as it is, and what a URL parser would refuse or take for a slash. */
function wellFormed(url: string): string {
  return url.replace(/["<>\\^`{|}]/g, encodeURIComponent)
}

function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}

function internalError(name: string, log: Log, error: unknown): Response {
  log.error({ component: name, err: error }, 'request failed')
  return Response.json(
    { error: 'Internal error; the log says more' },
    { status: 500, headers: { 'X-Error-Code': 'Internal', 'Cache-Control': 'no-store' } },
  )
}

function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const answer =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? rawRefusal(431, 'Request Header Fields Too Large', 'BadRequest')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? rawRefusal(408, 'Request Timeout', 'RequestTimeout')
        : rawRefusal(400, 'Bad Request', 'BadRequest')
  socket.end(answer, () => socket.destroy())
}

async function listen(server: Server, { name, host, port }: HttpServiceOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      reject(
        new ArchiveError('ADDRESS_UNUSABLE', `the ${name} cannot listen on ${host}:${port}: ${error.code}`, {
          cause: error,
          hint: taken
            ? `another program (or another weightvault) listens there; stop it, or set serve.${name} to another port`
            : `set serve.${name} to an address of this machine, with a port that this user may open`,
        }),
      )
    })
    server.listen({ host, port }, resolve)
  })
  server.removeAllListeners('error')
  server.on('error', () => {})
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}
