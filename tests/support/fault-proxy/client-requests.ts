import type { Socket } from 'node:net'

const MOST_HEAD_BYTES = 256 * 1024

/** One request without a body, as it was sent. */
export interface ClientRequest {
  readonly method: string
  readonly path: string
  /** Names and values in turn, as sent. */
  readonly rawHeaders: readonly string[]
}

/**
 * Reads requests from a connection and answers one after another, also those that were sent without waiting.
 * @param answer resolves with false when the connection is not to be used any more
 */
export function readRequests(socket: Socket, answer: (request: ClientRequest) => Promise<boolean>): void {
  let unread = Buffer.alloc(0)
  let isBusy = false
  const goOn = async (): Promise<void> => {
    if (isBusy) return
    isBusy = true
    for (let end = unread.indexOf('\r\n\r\n'); end >= 0; end = unread.indexOf('\r\n\r\n')) {
      const head = unread.toString('latin1', 0, end)
      unread = unread.subarray(end + 4)
      if (!(await answer(parseHead(head)))) return
    }
    isBusy = false
  }
  socket.on('data', (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk])
    if (unread.length > MOST_HEAD_BYTES) socket.destroy()
    else goOn().catch(() => socket.destroy())
  })
}

function parseHead(head: string): ClientRequest {
  const [first = '', ...lines] = head.split('\r\n')
  const [method = '', path = ''] = first.split(' ')
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { method, path, rawHeaders }
}
