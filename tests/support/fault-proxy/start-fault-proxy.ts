import { once } from 'node:events'
import { Agent } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { SimHub } from '../sim-hub/types.ts'
import { LOOPBACK_CERTIFICATE, type TestCertificate } from '../test-ca.ts'
import { type ClientRequest, readRequests } from './client-requests.ts'
import { askUpstream, headOf, type HubAnswer, inventedAnswer, type Route } from './hub-answer.ts'
import { FaultList } from './wire-fault.ts'
import { atConnection, endAs, writeAnswer } from './write-answer.ts'

/** Bytes of a file that the proxy gave to the client's connection. */
export interface Delivery {
  /** Path of the signed link without its query: one a file. */
  readonly file: string
  readonly start: number
  bytes: number
  /** Bytes of the body as announced. */
  readonly length: number | undefined
  /** Port of the client's side of the connection. */
  readonly clientPort: number
  /** How many bytes this connection carried before the first of these. */
  readonly bodyAt: number
  /** How many bytes the kernel has taken for this connection so far. */
  readonly carried: () => number
  isOver: boolean
}

/** Stands between a client and the simulated Hub with its CDN, and does to the wire what its faults say. */
export interface FaultProxy extends AsyncDisposable {
  /** Give this to the client as its Hub. */
  readonly url: string
  readonly cdnUrl: string
  readonly faults: FaultList
  /** Answers of the CDN since the last `forget`, oldest first. */
  readonly deliveries: readonly Delivery[]
  /** Requests since the start. */
  readonly requests: number
  /** Bytes of files since the start. */
  readonly bytesDelivered: number
  forget(): void
  /** Told of each file the CDN is asked for, before it answers: the path without its query. */
  onFile: ((path: string) => void) | undefined
  /** Awaited before each answer, and before each piece of a body. */
  watch: (() => Promise<void> | void) | undefined
}

export interface FaultProxyOptions {
  /** `true`: with the certificate that the test authority gave for loopback. Default: plain HTTP. */
  readonly tls?: boolean
  /** What the Hub calls itself and its CDN in answers; default: where the proxy listens. */
  readonly names?: { readonly hub: string; readonly cdn: string }
  /** Other certificates. */
  readonly certificates?: { readonly hub?: TestCertificate; readonly cdn?: TestCertificate }
}

/** Starts a proxy on two ports of 127.0.0.1, one for each origin of the Hub. */
export async function startFaultProxy(hub: SimHub, options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true })
  const proxy = new LiveProxy(hub, agent)
  const origins = await Promise.all((['hub', 'cdn'] as const).map((origin) => listen(origin, proxy, options)))
  proxy.open(origins[0]!, origins[1]!, options.names)
  return proxy
}

interface Origin {
  readonly url: string
  stop(): Promise<void>
}

async function listen(origin: 'hub' | 'cdn', proxy: LiveProxy, options: FaultProxyOptions): Promise<Origin> {
  const sockets = new Set<Socket>()
  const serve = (socket: Socket): void => proxy.serve(origin, socket)
  const accept = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const how = atConnection(proxy.faults.forConnection(origin))
    if (how !== undefined) endAs(socket, how)
    else if (tls === undefined) serve(socket)
    else tls.emit('connection', socket)
  }
  const certificate = options.certificates?.[origin] ?? LOOPBACK_CERTIFICATE
  const tls = options.tls === true ? tlsServer(certificate, serve) : undefined
  const server: Server = createTcpServer(accept).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Never listens: it is handed the connections that no fault ended. */
function tlsServer({ cert, key }: TestCertificate, serve: (socket: Socket) => void): Server {
  return createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => socket.destroy())
    serve(socket)
  }).on('tlsClientError', () => undefined)
}

class LiveProxy implements FaultProxy {
  readonly faults = new FaultList()
  readonly deliveries: Delivery[] = []
  requests = 0
  bytesDelivered = 0
  onFile: ((path: string) => void) | undefined
  watch: (() => Promise<void> | void) | undefined
  readonly #hub: SimHub
  readonly #agent: Agent
  #origins: readonly Origin[] = []
  #routes: readonly Route[] = []

  constructor(hub: SimHub, agent: Agent) {
    this.#hub = hub
    this.#agent = agent
  }

  open(hub: Origin, cdn: Origin, names: FaultProxyOptions['names']): void {
    this.#origins = [hub, cdn]
    this.#routes = [
      { from: this.#hub.url, to: names?.hub ?? hub.url },
      { from: this.#hub.cdnUrl, to: names?.cdn ?? cdn.url },
    ]
  }

  get url(): string {
    return this.#origins[0]!.url
  }

  get cdnUrl(): string {
    return this.#origins[1]!.url
  }

  forget(): void {
    this.deliveries.length = 0
  }

  serve(origin: 'hub' | 'cdn', socket: Socket): void {
    readRequests(socket, (request) => this.#answer(origin, socket, request))
  }

  async #answer(origin: 'hub' | 'cdn', socket: Socket, request: ClientRequest): Promise<boolean> {
    this.requests += 1
    await this.watch?.()
    const [file = ''] = request.path.split('?')
    if (origin === 'cdn') this.onFile?.(file)
    const fault = this.faults.forRequest({ origin, ...request, range: rangeOf(request) })
    if (fault?.raw !== undefined) {
      socket.end(Buffer.from(fault.raw, 'latin1'))
      return false
    }
    const isLast = asksToClose(request)
    const given = fault?.answer === undefined ? await this.#ask(origin, request) : inventedAnswer(fault.answer)
    const answer = isLast ? { ...given, headers: [...given.headers, ['Connection', 'close'] as const] } : given
    const delivery = {
      file,
      start: answer.fileStart,
      bytes: 0,
      length: answer.length,
      clientPort: socket.remotePort ?? 0,
      bodyAt: socket.bytesWritten + headOf(answer, fault).length,
      carried: () => takenByKernel(socket),
      isOver: false,
    }
    if (origin === 'cdn' && answer.status < 300) this.deliveries.push(delivery)
    try {
      const mayGoOn = await writeAnswer(socket, answer, fault, {
        mayWrite: async () => this.watch?.(),
        onDelivered: (bytes) => {
          delivery.bytes += bytes
          if (origin === 'cdn') this.bytesDelivered += bytes
        },
      })
      if (mayGoOn && isLast) socket.end()
      return mayGoOn && !isLast
    } finally {
      delivery.isOver = true
    }
  }

  #ask(origin: 'hub' | 'cdn', request: ClientRequest): Promise<HubAnswer> {
    const upstream = origin === 'hub' ? this.#hub.url : this.#hub.cdnUrl
    return askUpstream(request, upstream, this.#agent, this.#routes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#origins.map((origin) => origin.stop()))
    this.#agent.destroy()
  }
}

function rangeOf({ rawHeaders }: ClientRequest): { start: number; end: number } | undefined {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'range')
  const match = at < 0 ? null : /^bytes=(\d+)-(\d+)$/.exec(rawHeaders[at + 1] ?? '')
  return match === null ? undefined : { start: Number(match[1]), end: Number(match[2]) + 1 }
}

/** Exact while the event loop stands still; a socket says by itself only what it was handed. */
function takenByKernel(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { bytesWritten: number; writeQueueSize: number } | null }
  return handle === null ? socket.bytesWritten : handle.bytesWritten - handle.writeQueueSize
}

function asksToClose({ rawHeaders }: ClientRequest): boolean {
  return rawHeaders.some((name, at) => {
    return at % 2 === 0 && name.toLowerCase() === 'connection' && rawHeaders[at + 1]?.toLowerCase() === 'close'
  })
}
