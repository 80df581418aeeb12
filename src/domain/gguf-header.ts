import { GGUF_TENSOR_TYPES, GGUF_VALUE_BYTES } from './gguf-types.ts'
import {
  addFlaw,
  hashOfBytes,
  MAX_HEADER_BYTES,
  shownText,
  type HeaderRead,
  type MetaValue,
  type TensorFacts,
} from './weight-header.ts'

const STRING = 8
const ARRAY = 9
const MAX_METADATA = 100_000
const MAX_TENSORS = 1_000_000
const MAX_KEY_BYTES = 65_535
const MAX_DIMENSIONS = 8
const MAX_ARRAY_DEPTH = 4

/**
 * Reads the header of a GGUF file (version 2 or 3, little-endian) from its first bytes. Bounded in time and memory, and
 * never throws, whatever the bytes are.
 */
export function readGgufHeader(bytes: Uint8Array, fileSize: number): HeaderRead {
  const cursor = new Cursor(bytes, Math.min(fileSize, MAX_HEADER_BYTES))
  try {
    return readAll(cursor)
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', reason: error.message }
    if (error instanceof TooShort) return { kind: 'more', bytes: error.bytes }
    throw error
  }
}

function readAll(cursor: Cursor): HeaderRead {
  if (cursor.u32() !== 0x46554747) throw new Malformed('the file does not start with GGUF')
  const version = cursor.u32()
  if (version !== 2 && version !== 3) throw new Malformed(`version ${version} is not known`)
  const tensorCount = cursor.count(MAX_TENSORS, 'tensors')
  const metadataCount = cursor.count(MAX_METADATA, 'metadata values')
  const flaws: string[] = []
  const metadata = new Map<string, MetaValue>()
  for (let at = 0; at < metadataCount; at += 1) {
    const key = cursor.text(MAX_KEY_BYTES)
    if (metadata.has(key)) addFlaw(flaws, `metadata ${shownText(key)} is there twice`)
    metadata.set(key, readValue(cursor))
  }
  const tensors = new Map<string, TensorFacts>()
  for (let at = 0; at < tensorCount; at += 1) {
    const name = cursor.text(MAX_KEY_BYTES)
    if (tensors.has(name)) addFlaw(flaws, `tensor ${shownText(name)} is there twice`)
    tensors.set(name, readTensor(cursor))
  }
  return { kind: 'header', header: { format: 'gguf', metadata, tensors, flaws } }
}

function readTensor(cursor: Cursor): TensorFacts {
  const dimensions = cursor.u32()
  if (dimensions > MAX_DIMENSIONS) throw new Malformed(`a tensor has ${dimensions} dimensions`)
  const shape = Array.from({ length: dimensions }, () => cursor.count(Number.MAX_SAFE_INTEGER, 'elements'))
  const type = cursor.u32()
  cursor.skip(8)
  return { dtype: GGUF_TENSOR_TYPES.get(type) ?? `type ${type}`, shape }
}

function readValue(cursor: Cursor): MetaValue {
  const type = cursor.u32()
  const start = cursor.position
  if (type === STRING) {
    const bytes = cursor.take(cursor.count(MAX_HEADER_BYTES, 'bytes of a text'))
    return { shown: shownText(new TextDecoder().decode(bytes.subarray(0, 4096))), hash: `s${hashOfBytes(bytes)}` }
  }
  const shown = type === ARRAY ? skipArray(cursor, 1) : readScalar(cursor, type)
  return { shown, hash: `${type}:${hashOfBytes(cursor.since(start))}` }
}

function readScalar(cursor: Cursor, type: number): string {
  const bytes = GGUF_VALUE_BYTES.get(type)
  if (bytes === undefined) throw new Malformed(`a value has the unknown type ${type}`)
  const view = cursor.view(bytes)
  switch (type) {
    case 0:
      return String(view.getUint8(0))
    case 1:
      return String(view.getInt8(0))
    case 2:
      return String(view.getUint16(0, true))
    case 3:
      return String(view.getInt16(0, true))
    case 4:
      return String(view.getUint32(0, true))
    case 5:
      return String(view.getInt32(0, true))
    case 6:
      return String(view.getFloat32(0, true))
    case 7:
      return view.getUint8(0) === 0 ? 'false' : 'true'
    case 10:
      return String(view.getBigUint64(0, true))
    case 11:
      return String(view.getBigInt64(0, true))
    default:
      return String(view.getFloat64(0, true))
  }
}

/** Passes over an array and says how long it is. */
function skipArray(cursor: Cursor, depth: number): string {
  if (depth > MAX_ARRAY_DEPTH) throw new Malformed('arrays are nested too deep')
  const type = cursor.u32()
  const count = cursor.count(MAX_HEADER_BYTES, 'elements of an array')
  const bytes = GGUF_VALUE_BYTES.get(type)
  if (bytes !== undefined) cursor.skip(bytes * count)
  else if (type === STRING) {
    for (let at = 0; at < count; at += 1) cursor.skip(cursor.count(MAX_HEADER_BYTES, 'bytes of a text'))
  } else if (type === ARRAY) {
    for (let at = 0; at < count; at += 1) skipArray(cursor, depth + 1)
  } else throw new Malformed(`an array has the unknown type ${type}`)
  return `[${count} values]`
}

class Malformed extends Error {}

class TooShort extends Error {
  readonly bytes: number

  constructor(bytes: number) {
    super('more bytes are needed')
    this.bytes = bytes
  }
}

/** Goes through the first bytes of a file and never past what the file can have. */
class Cursor {
  position = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #limit: number

  constructor(bytes: Uint8Array, limit: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#limit = limit
  }

  u32(): number {
    this.#need(4)
    const value = this.#view.getUint32(this.position, true)
    this.position += 4
    return value
  }

  /** An unsigned 64-bit number that may not be larger than this. */
  count(most: number, what: string): number {
    this.#need(8)
    const value = this.#view.getBigUint64(this.position, true)
    if (value > BigInt(most)) throw new Malformed(`it claims ${value} ${what}`)
    this.position += 8
    return Number(value)
  }

  text(maxBytes: number): string {
    return new TextDecoder().decode(this.take(this.count(maxBytes, 'bytes of a name')))
  }

  take(bytes: number): Uint8Array {
    this.#need(bytes)
    this.position += bytes
    return this.#bytes.subarray(this.position - bytes, this.position)
  }

  view(bytes: number): DataView {
    this.take(bytes)
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.position - bytes, bytes)
  }

  skip(bytes: number): void {
    this.#need(bytes)
    this.position += bytes
  }

  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.position)
  }

  #need(bytes: number): void {
    const end = this.position + bytes
    if (end > this.#limit) throw new Malformed('the header is longer than the file, or than is read')
    if (end > this.#bytes.length) throw new TooShort(end)
  }
}
