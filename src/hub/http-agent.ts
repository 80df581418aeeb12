import type * as undici from 'undici'
import type { Dispatcher } from 'undici'
import { AddressRefusedError } from '../lib/private-address.ts'
import type { AddressGuard } from './address-guard.ts'
import { Http2Fallback, type Requests, SingleRequests } from './http2-fallback.ts'
import { Agent, buildConnector, Client, errors, Pool, proxyAgentClass } from './undici-parts.ts'

/** Addresses of proxies, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` hold them. */
export interface ProxyOptions {
  readonly http?: string
  readonly https?: string
  readonly no?: string
}

/** Connections kept to one origin; more requests wait for a free one. */
const CONNECTIONS_PER_ORIGIN = 16
/** An origin is forgotten when its connections are gone; this bounds hosts that redirects name. */
const MAX_ORIGINS = 256
const MAX_HEADER_BYTES = 32 * 1024
const KEEP_ALIVE_MS = 20_000
const KEEP_ALIVE_MAX_MS = 60_000

/** Bytes that may be on their way to us in one HTTP/2 connection: as many as a fast line far away holds. */
const WINDOW_BYTES = 1024 * 1024

/**
 * A dispatcher whose connections were checked by the guard. HTTP/1.1, and HTTP/2 where nothing else is spoken. Its own
 * timers for headers and bodies are off, the exchange has better ones.
 *
 * Behind a proxy the proxy resolves names, so there the guard sees spellings only, not addresses.
 */
export function createDispatcher(
  guard: AddressGuard,
  proxy: ProxyOptions | undefined,
  connectMs: number,
): Http2Fallback {
  const common = {
    connectTimeout: connectMs,
    maxOrigins: MAX_ORIGINS,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
  }
  const http1 = {
    ...common,
    connect: guardedConnector(guard, connectMs, false),
    connections: CONNECTIONS_PER_ORIGIN,
    allowH2: false,
  }
  const http2 = {
    ...common,
    connect: guardedConnector(guard, connectMs, true),
    allowH2: true,
    // Where undici reads the window of a stream; its types have it elsewhere.
    h2Options: { initialWindowSize: WINDOW_BYTES, connectionWindowSize: WINDOW_BYTES, pingInterval: 0 },
  }
  if (proxy === undefined) {
    return new Http2Fallback(new Agent(http1), new SingleRequests((origin) => new Client(origin, http2)))
  }
  return new Http2Fallback(
    new ProxyByScheme(proxyAgent(http1, proxy.http, proxy.no), proxyAgent(http1, proxy.https, proxy.no)),
    // Only TLS has another protocol to agree on.
    new SingleRequests(() => proxyAgent({ ...http2, connections: 1 }, proxy.https, proxy.no)),
  )
}

/** One proxy for every scheme: undici's agent would use an HTTP proxy for https, and read the environment, where one is missing. */
function proxyAgent(
  options: undici.Agent.Options & { readonly connectTimeout: number },
  uri: string | undefined,
  no: string | undefined,
): undici.EnvHttpProxyAgent {
  const ProxyAgent = proxyAgentClass()
  return new ProxyAgent({
    ...options,
    httpProxy: uri ?? '',
    httpsProxy: uri ?? '',
    noProxy: no ?? '',
    // A tunnel is a part of connecting, and undici would wait for it as for any other answer.
    clientFactory: (origin, more) => new Pool(origin, { ...more, headersTimeout: options.connectTimeout }),
  })
}

class ProxyByScheme implements Requests {
  readonly #http: Dispatcher
  readonly #https: Dispatcher

  constructor(http: Dispatcher, https: Dispatcher) {
    this.#http = http
    this.#https = https
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const isHttps = String(options.origin).startsWith('https:')
    return (isHttps ? this.#https : this.#http).dispatch(options, handler)
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#http.destroy(), this.#https.destroy()])
  }
}

function guardedConnector(guard: AddressGuard, connectMs: number, allowH2: boolean): undici.buildConnector.connector {
  // One connector an origin: it keeps the TLS sessions, and the lookup must know for whom it resolves.
  const connectors = new Map<string, undici.buildConnector.connector>()
  return (options, callback) => {
    const target = targetOf(options)
    const refusal = guard.refusal(target)
    if (refusal !== undefined) return callback(new AddressRefusedError(refusal), null)
    let connector = connectors.get(target.origin)
    if (connector === undefined) {
      if (connectors.size >= MAX_ORIGINS) connectors.clear()
      connector = buildConnector({ timeout: connectMs, allowH2, lookup: guard.lookupFor(target) })
      connectors.set(target.origin, connector)
    }
    connector(options, withinDeadline(connectMs, callback))
  }
}

/** undici's own connect timer is coarse and starts late; a socket that comes after ours is destroyed. */
function withinDeadline(connectMs: number, callback: undici.buildConnector.Callback): undici.buildConnector.Callback {
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
    callback(new errors.ConnectTimeoutError(`no connection within ${connectMs / 1000} s`), null)
  }, connectMs)
  // The exchange's own deadline holds the process while anyone waits.
  timer.unref()
  return (...result) => {
    clearTimeout(timer)
    if (isOver) result[1]?.destroy()
    else callback(...result)
  }
}

function targetOf(options: undici.buildConnector.Options): { origin: string; hostname: string } {
  const host = options.hostname.includes(':') ? `[${options.hostname}]` : options.hostname
  const url = new URL(`${options.protocol}//${host}${options.port === '' ? '' : `:${options.port}`}`)
  return { origin: url.origin, hostname: url.hostname.replace(/^\[(.*)\]$/, '$1') }
}
