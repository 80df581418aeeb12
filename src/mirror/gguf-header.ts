import { GGUF_VALUE_BYTES } from '../domain/gguf-types.ts'
import type { ByteSource } from '../lib/pump-bytes.ts'

/** What programs are told about a GGUF file; undefined where its header does not say, or cannot be read. */
export interface GgufFacts {
  readonly architecture: string | undefined
  /** Size of the model in words, such as `4B`. */
  readonly sizeLabel: string | undefined
  /** Jinja text; never run here. */
  readonly chatTemplate: string | undefined
}

const KEYS = new Map([
  ['general.architecture', 'architecture'],
  ['general.size_label', 'sizeLabel'],
  ['tokenizer.chat_template', 'chatTemplate'],
] as const)

/** The header of a file with a very large vocabulary has about 12 MB. */
const MOST_BYTES = 64 * 1024 * 1024
const PIECE_BYTES = 256 * 1024
const MOST_KEYS = 10_000
const MOST_TEXT = 1024 * 1024
const STRING = 8
const ARRAY = 9

/** Reads the header of a GGUF file as far as it is needed. A malformed or endless one says nothing, at bounded cost. */
export async function readGgufFacts(source: ByteSource): Promise<GgufFacts> {
  const found: Record<string, string> = {}
  try {
    await readKeys(new HeaderReader(source), found)
  } catch (error) {
    if (!(error instanceof MalformedHeader)) throw error
  }
  const { architecture, sizeLabel, chatTemplate } = found
  return { architecture, sizeLabel, chatTemplate }
}

class MalformedHeader extends Error {}

async function readKeys(reader: HeaderReader, found: Record<string, string>): Promise<void> {
  if ((await reader.take(4)).toString('latin1') !== 'GGUF') throw new MalformedHeader()
  const version = (await reader.take(4)).readUInt32LE()
  if (version < 2 || version > 3) throw new MalformedHeader()
  await reader.count()
  const keys = await reader.count()
  for (let at = 0; at < Math.min(keys, MOST_KEYS) && Object.keys(found).length < KEYS.size; at++) {
    const key = await reader.text(1024)
    const type = (await reader.take(4)).readUInt32LE()
    const name = KEYS.get(key as never)
    if (name !== undefined && type === STRING) found[name] = await reader.text(MOST_TEXT)
    else await skipValue(reader, type)
  }
}

async function skipValue(reader: HeaderReader, type: number): Promise<void> {
  if (type === STRING) {
    await reader.skip(await reader.count())
  } else if (type === ARRAY) {
    const itemType = (await reader.take(4)).readUInt32LE()
    const items = await reader.count()
    // Arrays of arrays are allowed and used by nobody; skipping millions of them would keep others waiting.
    if (itemType === STRING) await reader.skipTexts(items)
    else await reader.skip(items * scalarBytes(itemType))
  } else {
    await reader.skip(scalarBytes(type))
  }
}

function scalarBytes(type: number): number {
  const bytes = GGUF_VALUE_BYTES.get(type)
  if (bytes === undefined) throw new MalformedHeader()
  return bytes
}

/** Reads forward in pieces, and no further than a header may be long. */
class HeaderReader {
  readonly #source: ByteSource
  #piece = Buffer.alloc(0)
  /** Place of the piece in the file, and of the next byte in the piece. */
  #start = 0
  #at = 0

  constructor(source: ByteSource) {
    this.#source = source
  }

  async take(bytes: number): Promise<Buffer> {
    if (this.#piece.length - this.#at < bytes) await this.#fill(bytes)
    this.#at += bytes
    return this.#piece.subarray(this.#at - bytes, this.#at)
  }

  /** A count of 64 bits, as far as a header of this length can hold so many. */
  async count(): Promise<number> {
    const value = (await this.take(8)).readBigUInt64LE()
    if (value > BigInt(MOST_BYTES)) throw new MalformedHeader()
    return Number(value)
  }

  async text(most: number): Promise<string> {
    const bytes = await this.count()
    if (bytes > most) throw new MalformedHeader()
    return (await this.take(bytes)).toString()
  }

  async skip(bytes: number): Promise<void> {
    const place = this.#start + this.#at + bytes
    if (place > MOST_BYTES) throw new MalformedHeader()
    if (this.#at + bytes <= this.#piece.length) {
      this.#at += bytes
    } else {
      this.#start = place
      this.#piece = Buffer.alloc(0)
      this.#at = 0
    }
  }

  /** A vocabulary: hundreds of thousands of short texts, without waiting for each. */
  async skipTexts(texts: number): Promise<void> {
    for (let left = texts; left > 0; left--) {
      const piece = this.#piece
      const length = this.#at + 8 <= piece.length ? piece.readBigUInt64LE(this.#at) : undefined
      if (length !== undefined && length <= BigInt(piece.length - this.#at - 8)) this.#at += 8 + Number(length)
      else await this.skip(await this.count())
    }
  }

  async #fill(bytes: number): Promise<void> {
    const place = this.#start + this.#at
    if (place + bytes > MOST_BYTES) throw new MalformedHeader()
    const piece = Buffer.alloc(Math.max(bytes, PIECE_BYTES))
    let filled = 0
    while (filled < bytes) {
      const read = await this.#source.read(piece.subarray(filled), place + filled)
      if (read === 0) throw new MalformedHeader()
      filled += read
    }
    this.#piece = piece.subarray(0, filled)
    this.#start = place
    this.#at = 0
  }
}
