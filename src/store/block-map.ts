import { invariant } from '../domain/errors.ts'

/** The beginning of a block, or all of it, with the CRC-32 taken as it arrived. */
export interface Arrived {
  readonly length: number
  readonly crc: number
  /** It came so twice. */
  readonly isConfirmed?: boolean
}

const [MISSING, CLAIMED, HELD] = [0, 1, 2]

/** Which blocks of a file are there, which somebody fetches, and which nobody has claimed yet. Pure. */
export class BlockMap {
  readonly size: number
  readonly blockBytes: number
  readonly count: number
  readonly #states: Uint8Array
  readonly #crcs: Uint32Array
  /** Beginnings of blocks that are missing, kept on disk by an earlier process. */
  readonly #begun = new Map<number, Arrived>()
  /** Held blocks that came twice alike. */
  readonly #confirmed = new Set<number>()
  #heldBytes = 0
  /** Every block before it is held. */
  #front = 0
  /** No block before it is missing. */
  #lowest = 0

  constructor(size: number, blockBytes: number, arrived: ReadonlyMap<number, Arrived> = new Map()) {
    this.size = size
    this.blockBytes = blockBytes
    this.count = Math.ceil(size / blockBytes)
    this.#states = new Uint8Array(this.count)
    this.#crcs = new Uint32Array(this.count)
    for (const [index, { length, crc, isConfirmed }] of arrived) {
      if (length !== this.lengthOf(index)) this.#begun.set(index, { length, crc })
      else {
        this.#hold(index, crc)
        if (isConfirmed === true) this.#confirmed.add(index)
      }
    }
  }

  /** Bytes in whole blocks that are held. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  get isWhole(): boolean {
    return this.#heldBytes === this.size
  }

  /** End of the unbroken run of held bytes from the beginning, with the kept beginning of the next block. */
  get position(): number {
    return Math.min(this.size, this.startOf(this.#front)) + (this.#begun.get(this.#front)?.length ?? 0)
  }

  startOf(index: number): number {
    return index * this.blockBytes
  }

  lengthOf(index: number): number {
    return Math.min(this.blockBytes, this.size - this.startOf(index))
  }

  isHeld(index: number): boolean {
    return this.#states[index] === HELD
  }

  crcOf(index: number): number {
    invariant(this.isHeld(index), `block ${index} is held`)
    return this.#crcs[index]!
  }

  /** A held block, as a journal names it. */
  arrivedOf(index: number): Arrived {
    return { length: this.lengthOf(index), crc: this.crcOf(index), isConfirmed: this.#confirmed.has(index) }
  }

  /** A held block came twice alike. */
  confirm(index: number): void {
    invariant(this.isHeld(index), `block ${index} is held`)
    this.#confirmed.add(index)
  }

  /** What an earlier process kept of a block that is missing; forgotten with this. */
  takeBegun(index: number): Arrived | undefined {
    const begun = this.#begun.get(index)
    this.#begun.delete(index)
    return begun
  }

  /**
   * The first run of missing blocks, at most `maxBlocks`; only its first may have a kept beginning.
   * @param begun those whose beginning is kept elsewhere
   */
  claim(
    maxBlocks: number,
    begun?: { has(index: number): boolean },
  ): { readonly first: number; readonly end: number } | undefined {
    while (this.#lowest < this.count && this.#states[this.#lowest] !== MISSING) this.#lowest += 1
    const first = this.#lowest
    let end = first
    while (end < this.count && end - first < Math.max(1, maxBlocks) && this.#states[end] === MISSING) {
      if (end > first && (this.#begun.has(end) || begun?.has(end) === true)) break
      this.#states[end] = CLAIMED
      end += 1
    }
    return end === first ? undefined : { first, end }
  }

  /** A claimed block goes back to the missing ones. */
  release(index: number): void {
    invariant(this.#states[index] === CLAIMED, `block ${index} is claimed`)
    this.#states[index] = MISSING
    this.#lowest = Math.min(this.#lowest, index)
  }

  /** A claimed block has arrived whole. */
  hold(index: number, crc: number): void {
    invariant(this.#states[index] === CLAIMED, `block ${index} is claimed`)
    this.#hold(index, crc)
  }

  /** A held block is not what it was: it must come again. */
  drop(index: number): void {
    invariant(this.#states[index] === HELD, `block ${index} is held`)
    this.#states[index] = MISSING
    this.#confirmed.delete(index)
    this.#heldBytes -= this.lengthOf(index)
    this.#front = Math.min(this.#front, index)
    this.#lowest = Math.min(this.#lowest, index)
  }

  #hold(index: number, crc: number): void {
    this.#states[index] = HELD
    this.#crcs[index] = crc
    this.#heldBytes += this.lengthOf(index)
    while (this.#front < this.count && this.#states[this.#front] === HELD) this.#front += 1
  }
}
