import { crc32 } from 'node:zlib'
import { invariant } from '../domain/errors.ts'
import type { PartialRange } from '../intake-port.ts'
import type { Block, BlockMemory } from '../lib/block-memory.ts'
import type { BlockMap } from './block-map.ts'
import type { FilledBlock } from './block-writer.ts'

/** A block that was begun in memory, by somebody who stopped. */
export interface BegunBlock {
  readonly block: Block
  readonly length: number
  readonly crc: number
}

export interface BlockClaimOptions {
  readonly blocks: BlockMap
  readonly memory: BlockMemory
  readonly first: number
  readonly end: number
  readonly begun: BegunBlock | undefined
  /** Whether more memory may be taken now. */
  readonly mayFill: () => boolean
  /** Throws what makes it pointless to go on. */
  readonly assertUsable: () => void
  readonly onFull: (filled: FilledBlock) => void
  /** The claim ends; blocks from `index` on are claimed no more, the first of them may be begun. */
  readonly onReleased: (index: number, end: number, begun: BegunBlock | undefined) => void
}

/** A run of blocks that one connection fills, from its beginning on. */
export class BlockClaim implements PartialRange {
  readonly start: number
  readonly end: number
  readonly #options: BlockClaimOptions
  #index: number
  #block: Block | undefined
  #length = 0
  #crc = 0
  #isReleased = false

  constructor(options: BlockClaimOptions) {
    const { blocks, first, end, begun } = options
    this.#options = options
    this.#index = first
    this.#block = begun?.block
    this.#length = begun?.length ?? 0
    this.#crc = begun?.crc ?? 0
    this.start = this.position
    this.end = Math.min(blocks.size, blocks.startOf(end))
  }

  get position(): number {
    return Math.min(this.#options.blocks.size, this.#options.blocks.startOf(this.#index)) + this.#length
  }

  view(): Uint8Array | undefined {
    invariant(!this.#isReleased && this.position < this.end, 'a range that is whole or given back takes no bytes')
    this.#block ??= this.#options.mayFill() ? this.#options.memory.take() : undefined
    return this.#block?.bytes.subarray(this.#length, this.#options.blocks.lengthOf(this.#index))
  }

  filled(count: number): void {
    const { blocks, onFull } = this.#options
    const block = this.#block
    invariant(!this.#isReleased && block !== undefined, 'bytes are in memory that was handed out')
    const length = this.#length + count
    invariant(length <= blocks.lengthOf(this.#index), 'no more bytes came than there was room for')
    this.#crc = crc32(block.bytes.subarray(this.#length, length), this.#crc)
    this.#length = length
    if (length < blocks.lengthOf(this.#index)) return
    const filled = { index: this.#index, start: blocks.startOf(this.#index), block, length, crc: this.#crc }
    this.#index += 1
    this.#block = undefined
    this.#length = 0
    this.#crc = 0
    onFull(filled)
  }

  async room(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      this.#options.assertUsable()
      if (this.#isReleased || this.position === this.end || this.view() !== undefined) return
      await this.#options.memory.whenFree(signal)
    }
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    const { end, memory, onReleased } = this.#options
    const block = this.#block
    const begun =
      block === undefined || this.#length === 0 ? undefined : { block, length: this.#length, crc: this.#crc }
    if (block !== undefined && begun === undefined) memory.giveBack(block)
    this.#block = undefined
    onReleased(this.#index, end, begun)
  }
}
