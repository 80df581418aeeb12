import { createHash } from 'node:crypto'
import type { Content } from './content.ts'

/** Bytes of the pseudo-random pattern that all generated content is cut from. */
const PATTERN_BYTES = 1 << 20
/** A stamp of this many bytes opens each block: 8 from the seed, 8 with the block's index. */
const STAMP_BYTES = 16
/** Every block of this many bytes differs from every other block of the same and of other seeds. */
const BLOCK_BYTES = 1 << 16

/** The pattern twice in a row, so that a slice from any rotation is one piece of memory. */
const PATTERN = doubledPattern()

/**
 * A file of pseudo-random bytes that are the same for the same seed on every machine, readable at any offset without
 * holding the file. The bytes of two seeds differ nearly everywhere, and no two 64 KiB blocks of one file are equal,
 * so that a piece stored at the wrong place or taken from another file never hashes right. Not for secrets.
 * Each read returns memory of its own.
 */
export function generated(seed: string | number, size: number): Content {
  checkSize(size)
  const digest = createHash('sha256').update(`weightvault-generated/1\0${seed}`).digest()
  const rotation = digest.readUInt32LE(8) % PATTERN_BYTES

  function read(offset: number, length: number): Uint8Array {
    checkRange(size, offset, length)
    const out = Buffer.allocUnsafe(length)
    let done = 0
    while (done < length) {
      const from = (offset + done + rotation) % PATTERN_BYTES
      done += PATTERN.copy(out, done, from, from + Math.min(length - done, PATTERN_BYTES))
    }
    stamp(out, offset, digest)
    return out
  }
  return { size, read }
}

/** A file that holds exactly these bytes (a string is taken as UTF-8). */
export function literal(bytes: Uint8Array | string): Content {
  const held = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return {
    size: held.length,
    read(offset, length) {
      checkRange(held.length, offset, length)
      return held.subarray(offset, offset + length)
    },
  }
}

/** The parts one after the other, as one file. */
export function joined(parts: readonly Content[]): Content {
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  checkSize(size)
  return {
    size,
    read(offset, length) {
      checkRange(size, offset, length)
      const out: Uint8Array[] = []
      let start = 0
      for (const part of parts) {
        const from = Math.max(offset, start)
        const to = Math.min(offset + length, start + part.size)
        if (to - from === length) return part.read(from - start, length)
        // A copy, because a part may reuse its buffer at the next read.
        if (from < to) out.push(Buffer.from(part.read(from - start, to - from)))
        start += part.size
      }
      return Buffer.concat(out)
    },
  }
}

function stamp(out: Buffer, offset: number, digest: Buffer): void {
  const full = Buffer.alloc(STAMP_BYTES)
  digest.copy(full, 0, 0, 8)
  const first = Math.floor(offset / BLOCK_BYTES)
  for (let block = first; block * BLOCK_BYTES < offset + out.length; block += 1) {
    full.writeBigUInt64LE(BigInt(block), 8)
    const at = block * BLOCK_BYTES - offset
    if (at > -STAMP_BYTES) full.copy(out, Math.max(at, 0), Math.max(-at, 0))
  }
}

/** xorshift32 with a fixed start: fast, and the same everywhere. */
function doubledPattern(): Buffer {
  const words = new Uint32Array(PATTERN_BYTES / 4)
  let state = 0x9e3779b9
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  const once = Buffer.alloc(PATTERN_BYTES)
  words.forEach((word, index) => once.writeUInt32LE(word, index * 4))
  return Buffer.concat([once, once])
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`not a file size: ${size}`)
}

function checkRange(size: number, offset: number, length: number): void {
  const isInside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (!isInside || offset + length > size)
    throw new RangeError(`${offset}+${length} is outside a file of ${size} bytes`)
}
