import type { Socket } from 'node:net'
import { headOf, type HubAnswer } from './hub-answer.ts'
import type { BytePlace, WireFault } from './wire-fault.ts'

/** Told of each piece of a body once the kernel has taken it. */
export type OnDelivered = (bytes: number) => void

const ENDINGS = ['reset', 'close', 'stall'] as const
type Ending = (typeof ENDINGS)[number]

interface Stop {
  readonly at: number
  readonly how: Ending
}

/**
 * Writes an answer with its fault. Resolves with false when the connection is over, by the fault or by the client.
 * @param mayWrite awaited before each piece of the body
 */
export async function writeAnswer(
  socket: Socket,
  answer: HubAnswer,
  fault: WireFault | undefined,
  body: { readonly mayWrite: () => Promise<void>; readonly onDelivered: OnDelivered },
): Promise<boolean> {
  const over = await writeHead(socket, answer, fault)
  if (over !== undefined) return over
  const stop = stopOf(answer, fault)
  const flipped = fault?.flip === undefined ? -1 : placeIn(answer, fault.flip)
  let sent = 0
  for await (const piece of piecesOf(answer.body, fault?.writeBytes)) {
    const kept = Buffer.from(piece.subarray(0, Math.max(0, stop.at - sent)))
    if (flipped >= sent && flipped < sent + kept.length) kept[flipped - sent]! ^= 1
    await body.mayWrite()
    if (kept.length > 0 && !(await write(socket, framed(answer, kept)))) return giveUp(answer)
    body.onDelivered(kept.length)
    sent += kept.length
    if (sent < stop.at) continue
    answer.drop()
    return endAs(socket, stop.how)
  }
  if (sent >= stop.at) return endAs(socket, stop.how)
  if (answer.framing === 'chunked') await write(socket, Buffer.from('0\r\n\r\n'))
  if (answer.framing === 'close') socket.end()
  return answer.framing !== 'close' && !socket.destroyed
}

/** Undefined when the body may follow. */
async function writeHead(socket: Socket, answer: HubAnswer, fault: WireFault | undefined): Promise<false | undefined> {
  const head = headOf(answer, fault)
  for (const how of ENDINGS) {
    const spot = fault?.[how]
    if (spot !== 'before-headers' && spot !== 'in-headers') continue
    if (spot === 'in-headers') await write(socket, head.subarray(0, Math.floor(head.length / 2)))
    answer.drop()
    return endAs(socket, how)
  }
  return (await write(socket, head)) ? undefined : giveUp(answer)
}

function framed(answer: HubAnswer, bytes: Buffer): Buffer {
  if (answer.framing !== 'chunked') return bytes
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

async function* piecesOf(body: AsyncIterable<Uint8Array>, most = Infinity): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const step = Math.min(most, chunk.length)
    for (let at = 0; at < chunk.length; at += step) yield chunk.subarray(at, at + step)
  }
}

function stopOf(answer: HubAnswer, fault: WireFault | undefined): Stop {
  for (const how of ENDINGS) {
    const spot = fault?.[how]
    if (spot === undefined || typeof spot === 'string') continue
    const at = placeIn(answer, spot)
    if (at >= 0) return { at, how }
  }
  return { at: Infinity, how: 'close' }
}

/** Offset in the body; -1 when this answer does not hold the place. */
function placeIn(answer: HubAnswer, place: BytePlace): number {
  const at = 'file' in place ? place.file - answer.fileStart : place.body
  const fromStart = at < 0 && 'body' in place ? (answer.length ?? 0) + at : at
  return fromStart >= 0 && fromStart <= (answer.length ?? Infinity) ? fromStart : -1
}

function giveUp(answer: HubAnswer): false {
  answer.drop()
  return false
}

/** Ends a connection in the way a fault wants; nothing more is answered on it. */
export function endAs(socket: Socket, how: Ending): false {
  if (how === 'reset') socket.resetAndDestroy()
  else if (how === 'close') socket.end()
  return false
}

/** Whether a fault acts on the connection before anything was said, and how. */
export function atConnection(fault: WireFault | undefined): Ending | undefined {
  return ENDINGS.find((how) => fault?.[how] === 'connection')
}

/** Resolves when the kernel has the bytes, with false when the connection is gone. */
function write(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return Promise.resolve(false)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const closed = (): void => resolve(false)
  socket.once('close', closed)
  socket.write(bytes, (error) => {
    socket.off('close', closed)
    resolve(error === undefined || error === null)
  })
  return promise
}
