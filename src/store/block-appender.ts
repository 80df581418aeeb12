import { invariant } from '../domain/errors.ts'
import type { BlockClaim } from './block-claim.ts'
import type { BlockMap } from './block-map.ts'

/** Fills the missing blocks of one file with bytes that come one after another. */
export class BlockAppender {
  readonly #blocks: BlockMap
  readonly #claimBlock: () => Promise<BlockClaim | undefined>
  #claim: BlockClaim | undefined
  #at: number | undefined

  /** @param claimBlock the next missing block */
  constructor(blocks: BlockMap, claimBlock: () => Promise<BlockClaim | undefined>) {
    this.#blocks = blocks
    this.#claimBlock = claimBlock
  }

  /** Where the next bytes go. */
  get position(): number {
    return this.#at ?? this.#blocks.position
  }

  /** Waits only when the disk is behind. Bytes of blocks that are held already are passed over. */
  async append(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#at ??= this.#blocks.position
    for (let rest = chunk; rest.length > 0;) {
      const index = Math.floor(this.#at / this.#blocks.blockBytes)
      const taken = this.#blocks.isHeld(index)
        ? Math.min(rest.length, this.#blocks.startOf(index) + this.#blocks.lengthOf(index) - this.#at)
        : await this.#fill(rest, signal)
      this.#at += taken
      rest = rest.subarray(taken)
    }
  }

  /** Lets the block go that is being filled, with what it has. */
  release(): void {
    this.#claim?.release()
    this.#claim = undefined
  }

  async #fill(chunk: Uint8Array, signal: AbortSignal): Promise<number> {
    this.#claim ??= await this.#claimBlock()
    const claim = this.#claim
    invariant(claim !== undefined && claim.position === this.#at, 'bytes are appended where they are missing')
    await claim.room(signal)
    const taken = chunk.subarray(0, claim.view()!.length)
    claim.view()!.set(taken)
    claim.filled(taken.length)
    if (claim.position === claim.end) this.release()
    return taken.length
  }
}
