import { crc32 } from 'node:zlib'
import { invariant } from '../domain/errors.ts'
import type { PartialRange } from '../intake-port.ts'
import type { Block, BlockMemory } from '../lib/block-memory.ts'
import type { BlockMap } from './block-map.ts'
import type { FilledBlock } from './block-writer.ts'
import type { Carrier } from './carried-bytes.ts'

/** A block that was begun in memory, by somebody who stopped. */
export interface BegunBlock {
  readonly block: Block
  readonly length: number
  readonly crc: number
  /** Bytes that are nowhere else. */
  readonly carriedBytes: number
}

export interface BlockClaimOptions {
  readonly blocks: BlockMap
  readonly memory: BlockMemory
  readonly first: number
  readonly end: number
  readonly begun: BegunBlock | undefined
  /** Whose bytes these are until `follows` says otherwise. */
  readonly carrier: Carrier
  /** Whether more memory may be taken at all: nothing has failed. */
  readonly isUsable: () => boolean
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
  #carrier: Carrier
  /** Of the block that is being filled. */
  #carriedBytes = 0
  #isReleased = false

  constructor(options: BlockClaimOptions) {
    const { blocks, first, end, begun } = options
    this.#options = options
    this.#index = first
    this.#block = begun?.block
    this.#length = begun?.length ?? 0
    this.#crc = begun?.crc ?? 0
    this.#carrier = options.carrier
    this.#carrier.use()
    this.#carry(begun?.carriedBytes ?? 0)
    this.start = this.position
    this.end = Math.min(blocks.size, blocks.startOf(end))
  }

  get position(): number {
    return Math.min(this.#options.blocks.size, this.#options.blocks.startOf(this.#index)) + this.#length
  }

  follows(before: PartialRange): void {
    invariant(before instanceof BlockClaim && !before.#isReleased, 'a range follows another one that is still claimed')
    const own = this.#carrier
    this.#carrier = before.#carrier
    this.#carrier.use()
    this.#carrier.add(this.#carriedBytes)
    own.settle(this.#carriedBytes)
    own.leave()
  }

  view(): Uint8Array | undefined {
    invariant(!this.#isReleased && this.position < this.end, 'a range that is whole or given back takes no bytes')
    const { blocks, isUsable, memory } = this.#options
    const room = this.#carrier.roomFor(blocks.blockBytes)
    if (room <= 0) return undefined
    this.#block ??= isUsable() ? memory.take() : undefined
    const most = Math.min(blocks.lengthOf(this.#index), this.#length + room)
    return this.#block?.bytes.subarray(this.#length, most)
  }

  filled(count: number): void {
    const { blocks, onFull } = this.#options
    const block = this.#block
    invariant(!this.#isReleased && block !== undefined, 'bytes are in memory that was handed out')
    const length = this.#length + count
    invariant(length <= blocks.lengthOf(this.#index), 'no more bytes came than there was room for')
    this.#crc = crc32(block.bytes.subarray(this.#length, length), this.#crc)
    this.#length = length
    this.#carry(count)
    if (length < blocks.lengthOf(this.#index)) return
    const [index, carrier, carriedBytes] = [this.#index, this.#carrier, this.#carriedBytes]
    const filled = { index, start: blocks.startOf(index), block, length, crc: this.#crc, carrier, carriedBytes }
    this.#index += 1
    this.#block = undefined
    this.#length = 0
    this.#crc = 0
    this.#carriedBytes = 0
    onFull(filled)
  }

  async room(signal: AbortSignal): Promise<void> {
    await this.#options.memory.until(() => this.#isReady(), signal)
    this.#options.assertUsable()
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    const { end, memory, onReleased } = this.#options
    const block = this.#block
    const [length, crc, carriedBytes] = [this.#length, this.#crc, this.#carriedBytes]
    const begun = block === undefined || length === 0 ? undefined : { block, length, crc, carriedBytes }
    if (block !== undefined && begun === undefined) memory.giveBack(block)
    this.#block = undefined
    // A connection that breaks off within a block carries nothing more.
    this.#carrier.settle(carriedBytes)
    this.#carrier.leave()
    onReleased(this.#index, end, begun)
  }

  /** There is room, or there never will be any. */
  #isReady(): boolean {
    if (this.#isReleased || this.position === this.end || !this.#options.isUsable()) return true
    return this.view() !== undefined
  }

  #carry(bytes: number): void {
    this.#carriedBytes += bytes
    this.#carrier.add(bytes)
  }
}
