import { decodeObject, decodeSize } from './decode.ts'
import {
  addFlaw,
  hashOfBytes,
  MAX_HEADER_BYTES,
  shownText,
  type HeaderRead,
  type MetaValue,
  type TensorFacts,
} from './weight-header.ts'

const LENGTH_BYTES = 8
const MAX_TENSORS = 1_000_000
const MAX_DIMENSIONS = 16
const DTYPE = /^[A-Za-z0-9_]{1,20}$/

/**
 * Reads the header of a safetensors file from its first bytes. Bounded in time and memory, and never throws, whatever the
 * bytes are.
 */
export function readSafetensorsHeader(bytes: Uint8Array, fileSize: number): HeaderRead {
  if (fileSize < LENGTH_BYTES + 2) return malformed('the file is too short for a header')
  if (bytes.length < LENGTH_BYTES) return { kind: 'more', bytes: LENGTH_BYTES }
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER_BYTES)) return malformed(`the header claims ${length} bytes`)
  const end = LENGTH_BYTES + Number(length)
  if (end > fileSize) return malformed('the header is longer than the file')
  if (bytes.length < end) return { kind: 'more', bytes: end }
  const body = bytes.subarray(LENGTH_BYTES, end)
  if (body[0] !== 0x7b) return malformed('the header does not start with {')
  let parsed: unknown
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    parsed = JSON.parse(text)
  } catch {
    return malformed('the header is not JSON')
  }
  const object = decodeObject(parsed)
  if (object === undefined) return malformed('the header is not a JSON object')
  return readEntries(object, text, fileSize - end)
}

function readEntries(object: Readonly<Record<string, unknown>>, text: string, dataBytes: number): HeaderRead {
  const flaws: string[] = []
  const tensors = new Map<string, TensorFacts>()
  const entries = Object.entries(object)
  if (entries.length > MAX_TENSORS) return malformed('the header names too many tensors')
  const ranges: [number, number][] = []
  for (const [name, value] of entries) {
    if (name === '__metadata__') continue
    const tensor = readTensor(value, dataBytes)
    if (typeof tensor === 'string') addFlaw(flaws, `${shownText(name)}: ${tensor}`)
    else {
      tensors.set(name, tensor.facts)
      ranges.push(tensor.range)
    }
  }
  if (countKeys(text) !== entries.length) addFlaw(flaws, 'a name is there twice')
  flaws.push(...gapsOf(ranges, dataBytes))
  return { kind: 'header', header: { format: 'safetensors', metadata: readMetadata(object, flaws), tensors, flaws } }
}

function readTensor(value: unknown, dataBytes: number): { facts: TensorFacts; range: [number, number] } | string {
  const entry = decodeObject(value)
  if (entry === undefined) return 'no tensor'
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !DTYPE.test(dtype)) return 'no dtype'
  const dimensions = sizes(shape, MAX_DIMENSIONS)
  if (dimensions === undefined) return 'no shape'
  const [start, end, ...more] = sizes(offsets, 2) ?? []
  if (start === undefined || end === undefined || more.length > 0) return 'no data offsets'
  if (start > end || end > dataBytes) return 'data offsets outside the file'
  return { facts: { dtype, shape: dimensions }, range: [start, end] }
}

function sizes(value: unknown, most: number): number[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined
  const found = value.map(decodeSize)
  return found.every((size) => size !== undefined) ? found : undefined
}

function readMetadata(object: Readonly<Record<string, unknown>>, flaws: string[]): Map<string, MetaValue> {
  const found = new Map<string, MetaValue>()
  if (!Object.hasOwn(object, '__metadata__')) return found
  const metadata = decodeObject(object['__metadata__'])
  if (metadata === undefined) addFlaw(flaws, 'the metadata is no object')
  const encoder = new TextEncoder()
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (typeof value !== 'string') addFlaw(flaws, `metadata ${shownText(key)} is no text`)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    found.set(key, { shown: shownText(text), hash: hashOfBytes(encoder.encode(text)) })
  }
  return found
}

/** The format allows neither holes nor overlaps. */
function gapsOf(ranges: [number, number][], dataBytes: number): string[] {
  let at = 0
  for (const [start, end] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (start !== at) return [start > at ? 'there is a hole between tensors' : 'tensors overlap']
    at = end
  }
  return at === dataBytes ? [] : ['there are bytes that belong to no tensor']
}

/** Keys of the outermost object, twins counted twice: `JSON.parse` keeps the last of two and says nothing. */
function countKeys(text: string): number {
  let depth = 0
  let keys = 0
  let wasKey = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
      wasKey = depth === 1
    } else if (character === '{' || character === '[') depth += 1
    else if (character === '}' || character === ']') depth -= 1
    else if (character === ':' && wasKey) {
      keys += 1
      wasKey = false
    }
  }
  return keys
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

function malformed(reason: string): HeaderRead {
  return { kind: 'malformed', reason }
}
