import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type ClientRequest, readRequests } from './client-requests.ts'

/** A proxy as companies have them, set by `HTTP_PROXY`: it resolves names, here public ones to servers on loopback. */
export interface ForwardProxy extends AsyncDisposable {
  readonly url: string
  /** Every `host:port` a client wanted to reach, known or not. */
  readonly wanted: readonly string[]
}

/** @param servers where each known `host:port` really is, as a URL; others are answered 502 */
export async function startForwardProxy(servers: ReadonlyMap<string, string>): Promise<ForwardProxy> {
  const wanted: string[] = []
  const sockets = new Set<Socket>()
  const reach = (address: string): Socket | undefined => {
    wanted.push(address)
    const server = servers.get(address)
    return server === undefined ? undefined : connect(Number(new URL(server).port), '127.0.0.1')
  }
  const answer = (socket: Socket, request: ClientRequest): false => {
    const isTunnel = request.method === 'CONNECT'
    const target = new URL(isTunnel ? `http://${request.path}` : request.path)
    const upstream = reach(`${target.hostname}:${target.port || 80}`)
    if (upstream === undefined) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
      return false
    }
    sockets.add(upstream)
    if (isTunnel) socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    else upstream.write(headWithout(target, request))
    socket.removeAllListeners('data')
    socket.on('error', () => upstream.destroy()).pipe(upstream)
    upstream.on('error', () => socket.destroy()).pipe(socket)
    return false
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    readRequests(socket, async (request) => answer(socket, request))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    wanted,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** The request as the origin wants it; one a connection, for the next may be for another host. */
function headWithout(target: URL, { method, path, rawHeaders }: ClientRequest): string {
  const lines = rawHeaders.flatMap((name, at) => {
    const isHop = /^(proxy-)?connection$/i.test(name)
    return at % 2 === 0 && !isHop ? [`${name}: ${rawHeaders[at + 1]}`] : []
  })
  const origin = path.slice(target.origin.length) || '/'
  return `${method} ${origin} HTTP/1.1\r\n${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`
}
