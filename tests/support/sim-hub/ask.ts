import { request } from 'node:http'
import { HANGS_AFTER_MS } from '../until.ts'

/** An answer exactly as it came: no redirect followed, nothing decompressed. */
export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string | undefined>
  body: Buffer
  text: string
  /** False when the connection ended before the body did. */
  isComplete: boolean
  /** Sizes of the pieces the body arrived in. */
  pieces: number[]
}

export interface AskOptions {
  method?: string
  headers?: Record<string, string>
  body?: string
  signal?: AbortSignal
  /** Stops reading after so many bytes, for answers that never end. */
  stopAfter?: number
}

/**
 * One HTTP request whose target is sent as written, dot segments and odd encodings included.
 * @throws when no answer came at all
 */
export function ask(url: string, options: AskOptions = {}): Promise<Answer> {
  const [, host = '', port = '', path = ''] = /^http:\/\/([^:/]+):(\d+)(.*)$/s.exec(url) ?? []
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const outgoing = request(
    {
      host,
      port,
      path: path === '' ? '/' : path,
      method: options.method ?? 'GET',
      agent: false,
      signal: options.signal ?? AbortSignal.timeout(HANGS_AFTER_MS),
      ...(options.headers && { headers: options.headers }),
    },
    (incoming) => {
      outgoing.off('error', reject)
      outgoing.on('error', () => {}) // reported as `isComplete: false`
      const pieces: Buffer[] = []
      let size = 0
      const finish = () => {
        const headers = Object.fromEntries(
          Object.entries(incoming.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(', ') : value,
          ]),
        )
        const body = Buffer.concat(pieces)
        const { statusCode: status = 0, complete: isComplete } = incoming
        resolve({ status, headers, body, text: body.toString(), isComplete, pieces: pieces.map((one) => one.length) })
      }
      incoming.on('data', (piece: Buffer) => {
        pieces.push(piece)
        size += piece.length
        if (size >= (options.stopAfter ?? Infinity)) outgoing.destroy()
      })
      incoming.once('close', finish)
      incoming.on('error', () => {}) // reported as `isComplete: false`
    },
  )
  outgoing.on('error', reject)
  outgoing.end(options.body)
  return promise
}

/** GET of JSON. */
export async function askJson<T>(url: string, options: AskOptions = {}): Promise<T> {
  return JSON.parse((await ask(url, options)).text) as T
}
