/** Size of a stream's buffers by how many streams run: few get long reads, many stay small together. */
const SIZES = [
  { upTo: 2, bytes: 1024 * 1024 },
  { upTo: 8, bytes: 512 * 1024 },
  { upTo: Infinity, bytes: 64 * 1024 },
] as const

/** Bytes of free buffers that are kept. */
const MOST_FREE_BYTES = 8 * 1024 * 1024

/** Two buffers of equal size for one stream. */
export type BufferPair = readonly [Uint8Array, Uint8Array]

/** Recycles the buffers of byte streams, so that streaming makes no garbage and bounded memory serves any number. */
export class BufferPool {
  readonly #free = new Map<number, Uint8Array[]>()
  #streams = 0
  #freeBytes = 0

  /** Buffers for a stream of so many bytes. They belong to the caller until `give`. */
  take(bytes: number): BufferPair {
    this.#streams += 1
    const most = SIZES.find(({ upTo }) => this.#streams <= upTo)!.bytes
    const size = SIZES.findLast((one) => one.bytes >= Math.min(bytes, most))?.bytes ?? most
    return [this.#one(size), this.#one(size)]
  }

  give(pair: BufferPair): void {
    this.#streams -= 1
    for (const buffer of pair) {
      const free = this.#free.get(buffer.length) ?? []
      if (this.#freeBytes + buffer.length > MOST_FREE_BYTES) return
      free.push(buffer)
      this.#freeBytes += buffer.length
      this.#free.set(buffer.length, free)
    }
  }

  #one(size: number): Uint8Array {
    const free = this.#free.get(size)?.pop()
    if (free === undefined) return Buffer.allocUnsafeSlow(size)
    this.#freeBytes -= size
    return free
  }
}
