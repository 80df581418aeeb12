import { createCipheriv } from 'node:crypto'

/** Unit of resume of the crash tests: small, so that there is much to resume. */
export const CRASH_PIECE_BYTES = 32 * 1024
const SIZES = [0, 1, 500, 32 * 1024, 32 * 1024 + 1, 150_000, 300_000, 1_200_000]

/** The same bytes for the same number, in every process. Number 5 has 150,000 bytes: some pieces and a rest. */
export function contentOf(index: number): Buffer {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(index)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(SIZES[index % SIZES.length]!))
}
