import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'

/** A listening origin on 127.0.0.1 whose port stays the same when it goes offline and comes back. */
export interface OriginServer {
  readonly url: string
  /** Cuts every connection and refuses new ones. The port is kept: nobody else gets it meanwhile. */
  goOffline(): Promise<void>
  /** Listens again on the same port. */
  goOnline(): Promise<void>
  /** Cuts every connection and gives up the port. */
  stop(): Promise<void>
}

/** Starts one origin on a free port. */
export async function startOrigin(
  handle: (incoming: IncomingMessage, response: ServerResponse) => void,
): Promise<OriginServer> {
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, insecureHTTPParser: false }, handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  let letGo: (() => Promise<void>) | undefined
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  const release = async (): Promise<void> => {
    await letGo?.()
    letGo = undefined
  }
  return {
    url: `http://127.0.0.1:${port}`,
    async goOffline() {
      if (server.listening) letGo = await holdPort(port, close)
    },
    async goOnline() {
      if (server.listening) return
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      await release()
    },
    async stop() {
      await close()
      await release()
    },
  }
}

/**
 * Takes a port over from whoever listens there, without listening: a connection to elsewhere has it as its own.
 * @returns gives it up; somebody may listen on it before that
 */
async function holdPort(port: number, stopListening: () => Promise<void>): Promise<() => Promise<void>> {
  const elsewhere = createTcpServer((socket) => socket.on('error', () => socket.destroy())).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const stopped = stopListening()
  const { port: target } = elsewhere.address() as AddressInfo
  const holder = connect({ host: '127.0.0.1', port: target, localAddress: '127.0.0.1', localPort: port })
  await Promise.all([once(holder, 'connect'), stopped])
  return async () => {
    const closed = once(elsewhere, 'close')
    holder.resetAndDestroy()
    elsewhere.close()
    await closed
  }
}
