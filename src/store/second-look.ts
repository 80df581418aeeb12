import { judgeArrival } from '../domain/second-look.ts'
import type { SecondLook } from '../intake-port.ts'
import type { BlockMemory } from '../lib/block-memory.ts'
import { BlockClaim } from './block-claim.ts'
import { BlockMap } from './block-map.ts'
import type { FilledBlock } from './block-writer.ts'
import { CarriedBytes } from './carried-bytes.ts'

/** Versions kept in memory until they are written; of one that finds no room the block comes once more. */
const MAX_KEPT = 8

/** Bytes of blocks by their number, in order. */
export type NewVersions = ReadonlyMap<number, Uint8Array>

export interface ComparisonOptions {
  readonly memory: BlockMemory
  /** The whole file as it arrived, and what an earlier comparison found of it. */
  readonly file: BlockMap
  /** Writes other versions of blocks over those in the file. */
  readonly replace: (versions: NewVersions, signal: AbortSignal) => Promise<void>
  /** Writes down that these blocks came as they are in the file. */
  readonly confirm: (blocks: readonly number[]) => Promise<void>
}

/** Compares the blocks of a whole file with the same bytes as they come again. Its claims take memory and write nothing. */
export class BlockComparison implements SecondLook {
  readonly maxRanges = Number.POSITIVE_INFINITY
  readonly #options: ComparisonOptions
  readonly #carriedBytes = new CarriedBytes()
  readonly #inFile: Uint32Array
  /** Held: came as it is in the file, or as it will be. */
  readonly #blocks: BlockMap
  /** Held ones that came twice alike before this comparison. */
  #carried: readonly number[]
  /** CRC-32 of what came and differed from the file. */
  readonly #seen = new Map<number, number[]>()
  readonly #won = new Map<number, Uint8Array>()
  #isUndecided = false
  /** Confirmed and not yet written down. */
  #unnoted: number[] = []
  #noting: Promise<void> | undefined
  #failure: Error | undefined

  constructor(options: ComparisonOptions) {
    const { file } = options
    const all = Array.from({ length: file.count }, (_, index) => [index, file.arrivedOf(index)] as const)
    const settled = all.filter(([, { isConfirmed }]) => isConfirmed)
    this.#options = options
    this.#inFile = Uint32Array.from(all, ([, { crc }]) => crc)
    this.#blocks = new BlockMap(file.size, file.blockBytes, new Map(settled))
    this.#carried = settled.map(([index]) => index)
  }

  get heldBytes(): number {
    return this.#blocks.heldBytes
  }

  get isWaiting(): boolean {
    return this.#won.size > 0 || this.isOver
  }

  get isOver(): boolean {
    return this.#isUndecided || this.#blocks.isWhole
  }

  get isUndecided(): boolean {
    return this.#isUndecided
  }

  get differed(): readonly number[] {
    return [...this.#seen.keys()].toSorted((a, b) => a - b).map((index) => this.#blocks.startOf(index))
  }

  compareCarried(): boolean {
    const carried = this.#carried
    this.#carried = []
    for (const index of carried) this.#blocks.drop(index)
    return carried.length > 0
  }

  async claim(maxBytes: number, signal: AbortSignal): Promise<BlockClaim | undefined> {
    signal.throwIfAborted()
    this.#assertNoted()
    const run = this.isWaiting ? undefined : this.#blocks.claim(Math.floor(maxBytes / this.#blocks.blockBytes))
    if (run === undefined) return undefined
    return new BlockClaim({
      blocks: this.#blocks,
      memory: this.#options.memory,
      ...run,
      begun: undefined,
      carrier: this.#carriedBytes.start(),
      isUsable: () => this.#failure === undefined,
      assertUsable: () => this.#assertNoted(),
      onFull: (filled) => this.#arrived(filled),
      onReleased: (index, end, begun) => {
        if (begun !== undefined) this.#options.memory.giveBack(begun.block)
        for (let each = index; each < end; each += 1) this.#blocks.release(each)
      },
    })
  }

  async mend(signal: AbortSignal): Promise<number> {
    await this.#noting
    this.#assertNoted()
    const won = new Map([...this.#won].toSorted(([a], [b]) => a - b))
    this.#won.clear()
    if (won.size > 0) await this.#options.replace(won, signal)
    return won.size
  }

  #arrived({ index, block, length, crc, carrier, carriedBytes }: FilledBlock): void {
    carrier?.settle(carriedBytes)
    const seen = this.#seen.get(index) ?? []
    const verdict = judgeArrival(this.#inFile[index]!, seen, crc)
    const hasRoom = this.#won.size < MAX_KEPT
    if (verdict === 'confirmed' || (verdict === 'replace' && hasRoom)) this.#blocks.hold(index, crc)
    else this.#blocks.release(index)
    if (verdict === 'replace' && hasRoom) this.#won.set(index, Uint8Array.from(block.bytes.subarray(0, length)))
    if (verdict === 'undecided') this.#isUndecided = true
    if (verdict === 'ask-again' || verdict === 'undecided') this.#seen.set(index, [...seen, crc])
    if (verdict === 'confirmed') this.#note(index)
    this.#options.memory.giveBack(block)
  }

  #note(index: number): void {
    this.#unnoted.push(index)
    this.#noting ??= this.#noteAll()
  }

  /** Lines that come while some are written go into the next call. */
  async #noteAll(): Promise<void> {
    await Promise.resolve()
    try {
      while (this.#unnoted.length > 0) await this.#options.confirm(this.#unnoted.splice(0))
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
      this.#options.memory.wake()
    }
    this.#noting = undefined
  }

  #assertNoted(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
