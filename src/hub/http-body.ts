import { gunzip } from 'node:zlib'
import type { HttpAnswer } from './http-exchange.ts'
import { headerText } from './http-headers.ts'

/** A body read whole, or why it could not be believed. */
export type BodyReading =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'too-large'; readonly reason: string }
  | { readonly kind: 'undecodable'; readonly reason: string }

/**
 * Reads a body to its end as identity or gzip, never holding more than `maxBytes` coded and `maxBytes` decoded.
 * @throws TransportError, or the signal's reason
 */
export async function readBody(answer: HttpAnswer, maxBytes: number): Promise<BodyReading> {
  try {
    const coding = (headerText(answer.headers, 'content-encoding') ?? 'identity').trim().toLowerCase()
    if (coding !== 'identity' && coding !== 'gzip' && coding !== '') {
      return { kind: 'undecodable', reason: `the content encoding is "${coding.slice(0, 40)}"` }
    }
    const bytes = await readAtMost(answer, maxBytes)
    if (bytes === undefined) return tooLarge(maxBytes)
    return coding === 'gzip' && bytes.length > 0 ? await decodeGzip(bytes, maxBytes) : { kind: 'bytes', bytes }
  } finally {
    answer.discard()
  }
}

/** The first bytes of a body, at most `maxBytes`; for error texts. Never throws for a broken body. */
export async function readBeginning(answer: HttpAnswer, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    while (length < maxBytes) {
      const chunk = await answer.next()
      if (chunk === undefined) break
      chunks.push(chunk)
      length += chunk.length
    }
  } catch {
    // What came is all there is; the status was the answer.
  } finally {
    answer.discard()
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}

async function readAtMost(answer: HttpAnswer, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for (let chunk = await answer.next(); chunk !== undefined; chunk = await answer.next()) {
    length += chunk.length
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

async function decodeGzip(coded: Buffer, maxBytes: number): Promise<BodyReading> {
  const { promise, resolve } = Promise.withResolvers<BodyReading>()
  gunzip(coded, { maxOutputLength: maxBytes, info: true }, (error, result) => {
    if (error !== null) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      resolve(isTooLarge ? tooLarge(maxBytes) : { kind: 'undecodable', reason: 'the gzip body is damaged' })
      return
    }
    // With `info` the result also names the engine, which knows how much of the input it took.
    const { buffer, engine } = result as unknown as { buffer: Buffer; engine: { bytesWritten: number } }
    const isWhole = engine.bytesWritten === coded.length
    resolve(isWhole ? { kind: 'bytes', bytes: buffer } : { kind: 'undecodable', reason: 'bytes follow the gzip body' })
  })
  return promise
}

function tooLarge(maxBytes: number): BodyReading {
  return { kind: 'too-large', reason: `it is larger than ${Math.round(maxBytes / 1024 / 1024)} MiB` }
}
