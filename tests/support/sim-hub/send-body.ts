/** Writes bodies the way hostile networks do: in odd pieces, cut, stalled, flipped, too short or too long. */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Content } from '../content/content.ts'
import type { Fault } from './fault-types.ts'
import type { Options } from './options.ts'

const READ_BYTES = 1024 * 1024
const EXTRA_BYTE = 0x78

/** What to send: bytes `[start, end)` of a content, then `extra` more. */
export interface BodySource {
  readonly content: Content
  readonly start: number
  readonly end: number
  readonly extra: number
}

export interface SendOptions {
  readonly fault: Fault
  readonly pieceBytes: Options['pieceBytes']
  readonly random: () => number
  readonly onWritten: (bytes: number) => void
}

/** Sends the body after the headers were set; resolves when it is over, in whichever way. */
export async function sendBody(response: ServerResponse, source: BodySource, options: SendOptions): Promise<void> {
  const { fault } = options
  if (!(await hasTurn(response))) return
  const total = source.end - source.start + source.extra
  const stop = Math.min(total, fault.cutAfter ?? Infinity, fault.shortBody ?? Infinity, stallAt(fault, source.start))
  response.flushHeaders()
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, stop))
  for (let sent = 0; sent < stop;) {
    const chunk = buffer.subarray(0, Math.min(READ_BYTES, stop - sent))
    fillChunk(chunk, source, sent, fault.flipBit)
    if (!(await writePieces(response, chunk, options))) return
    sent += chunk.length
  }
  await endBody(response, fault, stop < total)
}

/** A request that came ahead has no socket to answer on before the ones before it are answered. */
async function hasTurn(response: ServerResponse): Promise<boolean> {
  if (response.socket !== null) return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const { socket } = response.req
  const closed = (): void => resolve(false)
  response.once('socket', () => resolve(true))
  socket.once('close', closed)
  const isTurn = await promise
  socket.off('close', closed)
  return isTurn
}

function stallAt(fault: Fault, start: number): number {
  const ofBody = typeof fault.stall === 'number' ? fault.stall : Infinity
  return Math.min(ofBody, Math.max(0, (fault.stallAtOffset ?? Infinity) - start))
}

async function endBody(response: ServerResponse, fault: Fault, isCut: boolean): Promise<void> {
  if (!isCut && fault.cutAfter === undefined) {
    response.end()
    return
  }
  if (typeof fault.stall === 'number' || fault.stallAtOffset !== undefined) return // the peer or the end of the hub closes it
  await nextTurn()
  if (fault.cutAfter !== undefined) response.socket?.resetAndDestroy()
  else response.socket?.end()
}

/** Copies the next bytes: the content may reuse its own buffer for another request meanwhile. */
function fillChunk(chunk: Buffer, source: BodySource, sent: number, flipBit: number | undefined): void {
  const position = source.start + sent
  const own = Math.max(0, Math.min(chunk.length, source.end - position))
  if (own > 0) chunk.set(source.content.read(position, own))
  chunk.fill(EXTRA_BYTE, own)
  const flipped = flipBit === undefined ? -1 : flipBit - position
  if (flipped >= 0 && flipped < own) chunk[flipped] = (chunk[flipped] ?? 0) ^ 1
}

async function writePieces(response: ServerResponse, chunk: Buffer, options: SendOptions): Promise<boolean> {
  const { slowDrip } = options.fault
  for (let offset = 0; offset < chunk.length;) {
    const piece = chunk.subarray(offset, offset + pieceLength(options))
    if (!(await writePiece(response, piece))) return false
    options.onWritten(piece.length)
    offset += piece.length
    if (slowDrip !== undefined) await pause(slowDrip.everyMs, undefined, { ref: false })
    else if (options.pieceBytes !== 'large') await nextTurn()
  }
  return true
}

function pieceLength({ fault, pieceBytes, random }: SendOptions): number {
  if (fault.slowDrip !== undefined) return Math.max(1, fault.slowDrip.bytes)
  if (pieceBytes === 'large') return READ_BYTES
  return Math.max(1, Math.round(pieceBytes.min * (pieceBytes.max / pieceBytes.min) ** random()))
}

/** Resolves when the piece has left and its buffer may be reused, with false when the connection is gone. */
function writePiece(response: ServerResponse, piece: Buffer): Promise<boolean> {
  if (response.destroyed || response.socket === null || response.socket.destroyed) return Promise.resolve(false)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const closed = () => resolve(false)
  response.once('close', closed)
  response.write(piece, (error) => {
    response.off('close', closed)
    resolve(error === null || error === undefined)
  })
  return promise
}
