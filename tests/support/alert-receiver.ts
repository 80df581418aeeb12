import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request that a receiver got whole. */
export interface Received {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Whether it was answered with success. */
  readonly isTaken: boolean
}

/**
 * How a receiver answers; default: 200. `hang` never answers, `taken-hang` neither, but has taken it; `reset` cuts the
 * connection, `after-reset` after the status.
 */
export type Behaviour =
  | number
  | 'hang'
  | 'taken-hang'
  | 'reset'
  | 'after-reset'
  | 'huge'
  | { readonly redirect: string }

/** A real HTTP server on loopback that takes alerts, and misbehaves when told to. */
export class AlertReceiver implements AsyncDisposable {
  readonly received: Received[] = []
  /** Sent with every answer. */
  readonly answerHeaders: Record<string, string> = {}
  /** How much of a huge answer was sent before the other side gave up. */
  hugeBytes = 0
  behaviour: Behaviour | ((body: string) => Behaviour) = 200
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<AlertReceiver> {
    const server = createServer()
    const receiver = new AlertReceiver(server)
    server.on('request', (request, response) => void receiver.#take(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Bodies of what was taken, oldest first. */
  get taken(): TakenAlert[] {
    return this.received.filter(({ isTaken }) => isTaken).map(({ body }) => JSON.parse(body) as TakenAlert)
  }

  /** Ids of all events in what was taken, in order of arrival. */
  get takenEventIds(): string[] {
    return this.taken.flatMap(({ events, furtherIds }) => [...events.map(({ id }) => id), ...furtherIds])
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk as string
    const behaviour = typeof this.behaviour === 'function' ? this.behaviour(body) : this.behaviour
    const status = typeof behaviour === 'number' ? behaviour : typeof behaviour === 'object' ? 302 : 200
    const isTaken = status < 300 && behaviour !== 'hang' && behaviour !== 'reset'
    this.received.push({ path: request.url ?? '', headers: request.headers, body, isTaken })
    if (behaviour === 'hang' || behaviour === 'taken-hang') return
    if (behaviour === 'reset') {
      request.socket.resetAndDestroy()
      return
    }
    const location = typeof behaviour === 'object' ? { location: behaviour.redirect } : {}
    response.writeHead(status, { ...this.answerHeaders, ...location })
    if (behaviour === 'after-reset') {
      response.write('{', () => request.socket.resetAndDestroy())
    } else if (behaviour === 'huge') {
      response.on('close', () => (this.hugeBytes = request.socket.bytesWritten))
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    } else {
      response.end('ok')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** What a webhook gets. */
export interface TakenAlert {
  readonly id: string
  readonly kind: string
  readonly severity: string
  readonly title: string
  readonly text: string
  readonly happened: string[]
  readonly means: string
  readonly holds: string
  readonly todo: string
  readonly events: { seq: number; id: string; type: string; repo: string | null; severity: string }[]
  readonly furtherIds: string[]
}
