import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A listening origin on 127.0.0.1 whose port stays the same when it goes offline and comes back. */
export interface OriginServer {
  readonly url: string
  /** Cuts every connection and refuses new ones. */
  stop(): Promise<void>
  /** Listens again on the same port. */
  start(): Promise<void>
}

/** Starts one origin on a free port. */
export async function startOrigin(
  handle: (incoming: IncomingMessage, response: ServerResponse) => void,
): Promise<OriginServer> {
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, insecureHTTPParser: false }, handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
    async start() {
      if (server.listening) return
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
  }
}
