import type { ServerResponse } from 'node:http'
import type { BufferPool } from './buffer-pool.ts'

/** Bytes that can be read at any position. */
export interface ByteSource {
  /** Fills the buffer from this position on, or less; 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>
}

/**
 * Sends bytes `[start, end)` as the body of an answer whose head was written with that Content-Length, and ends it. The
 * next piece is read while the last one is on its way; a buffer is used again only after its bytes were taken over.
 * @returns false when the visitor left before the end
 * @throws what reading throws, and an Error when the source is shorter; the connection is cut then, so that a short body
 *   can never look whole
 */
export async function pumpBytes(
  source: ByteSource,
  response: ServerResponse,
  range: { readonly start: number; readonly end: number },
  pool: BufferPool,
): Promise<boolean> {
  const buffers = pool.take(range.end - range.start)
  const sender = new Sender(response)
  let turn = 0
  let sending: Promise<boolean> = Promise.resolve(true)
  try {
    for (let at = range.start; at < range.end;) {
      const buffer = buffers[turn]!
      turn ^= 1
      const read = await source.read(buffer.subarray(0, Math.min(buffer.length, range.end - at)), at)
      if (read === 0) throw new Error(`the source ends at ${at}, before ${range.end}`)
      if (!(await sending)) return false
      at += read
      sending = sender.send(buffer.subarray(0, read))
    }
    if (!(await sending)) return false
    response.end()
    return true
  } catch (error) {
    response.destroy()
    await sending
    throw error
  } finally {
    pool.give(buffers)
  }
}

/** Hands pieces to a visitor, one after the other. */
class Sender {
  readonly #response: ServerResponse
  /** Settles the piece that is on its way. One listener serves all: a stream has thousands of pieces. */
  #settle: ((isTaken: boolean) => void) | undefined
  #isGone: boolean

  constructor(response: ServerResponse) {
    this.#response = response
    this.#isGone = response.destroyed
    response.once('close', () => {
      this.#isGone = true
      this.#settle?.(false)
    })
  }

  /** Whether the bytes were taken over; after a false nothing reads them any more. */
  send(bytes: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#isGone) {
        resolve(false)
        return
      }
      this.#settle = resolve
      this.#response.write(bytes, (error) => resolve(error === null || error === undefined))
    })
  }
}
