import { createCipheriv, createHash } from 'node:crypto'
import type { Content } from '../content/content.ts'

const BLOCK_BYTES = 1024 * 1024

/**
 * Content of any size that costs no memory or disk: one pseudo-random block of 1 MiB repeated, its first eight bytes
 * replaced by the number of the block, so that no two blocks are equal. As fast as SHA-256 can read it.
 */
export function generated(seed: number | string, size: number): Content {
  const key = createHash('sha256').update(`generated\0${seed}`).digest()
  const block = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(BLOCK_BYTES))
  let scratch = Buffer.alloc(0)
  const stamped = (index: number) => {
    block.writeBigUInt64LE(BigInt(index), 0)
    return block
  }
  return {
    size,
    read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size) {
        throw new RangeError(`bytes ${offset}+${length} of a content of ${size}`)
      }
      const first = Math.floor(offset / BLOCK_BYTES)
      const within = offset - first * BLOCK_BYTES
      if (within + length <= BLOCK_BYTES) return stamped(first).subarray(within, within + length)
      if (scratch.length < length) scratch = Buffer.alloc(length)
      for (let done = 0; done < length;) {
        const index = Math.floor((offset + done) / BLOCK_BYTES)
        const from = offset + done - index * BLOCK_BYTES
        const take = Math.min(BLOCK_BYTES - from, length - done)
        stamped(index).copy(scratch, done, from, from + take)
        done += take
      }
      return scratch.subarray(0, length)
    },
  }
}
