/**
 * The first 48 bits of digests, sorted, six bytes each. An index on whole digests would be written at random places for
 * every file that is ever listed, which costs far more than the listing itself; these are written once a snapshot, and a
 * million of them are read in a few milliseconds. Equal prefixes are a hint: the files table tells.
 */
const BYTES = 6

export function prefixOf(digest: Buffer): number {
  return digest.readUIntBE(0, BYTES)
}

export function packPrefixes(prefixes: readonly number[]): Buffer {
  const sorted = Float64Array.from(prefixes).sort()
  const packed = Buffer.alloc(sorted.length * BYTES)
  for (const [at, prefix] of sorted.entries()) packed.writeUIntBE(prefix, at * BYTES, BYTES)
  return packed
}

export function* unpackPrefixes(packed: Buffer): Generator<number> {
  for (let at = 0; at + BYTES <= packed.length; at += BYTES) yield packed.readUIntBE(at, BYTES)
}

/** Whether sorted prefixes have one of these. Time grows with the logarithm of how many there are. */
export function hasPrefix(packed: Buffer, prefix: number): boolean {
  let low = 0
  let high = Math.floor(packed.length / BYTES)
  while (low < high) {
    const middle = (low + high) >>> 1
    const found = packed.readUIntBE(middle * BYTES, BYTES)
    if (found === prefix) return true
    if (found < prefix) low = middle + 1
    else high = middle
  }
  return false
}
