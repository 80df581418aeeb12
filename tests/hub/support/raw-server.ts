import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** One request as it came over the wire. */
export interface RawRequest {
  readonly method: string
  /** Request target, byte for byte. */
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
}

export interface RawServer extends AsyncDisposable {
  readonly origin: string
  readonly port: number
  readonly requests: readonly RawRequest[]
  /** Sockets open now. */
  openSockets(): number
}

/** Answers by writing to the socket what it likes: for replies no honest server library would send. */
export type RawAnswer = (request: RawRequest, socket: Socket) => void

/** A server on 127.0.0.1 that leaves every byte of its answers to the test. */
export async function startRawServer(answer: RawAnswer): Promise<RawServer> {
  const requests: RawRequest[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let buffered = ''
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      buffered += chunk.toString('latin1')
      for (let end = buffered.indexOf('\r\n\r\n'); end >= 0; end = buffered.indexOf('\r\n\r\n')) {
        const request = parseRequest(buffered.slice(0, end))
        buffered = buffered.slice(end + 4)
        requests.push(request)
        answer(request, socket)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    openSockets: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The text of an answer with a Content-Length. */
export function reply(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array = '',
): Buffer {
  const bytes = Buffer.from(body)
  const all = { 'content-length': String(bytes.length), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Status\r\n${lines.join('')}\r\n`, 'latin1'), bytes])
}

function parseRequest(head: string): RawRequest {
  const [first = '', ...lines] = head.split('\r\n')
  const [method = '', path = ''] = first.split(' ')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { method, path, headers }
}
