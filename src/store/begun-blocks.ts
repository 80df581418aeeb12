import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { BlockMemory } from '../lib/block-memory.ts'
import type { BegunBlock } from './block-claim.ts'
import type { BlockMap } from './block-map.ts'
import type { FilledBlock } from './block-writer.ts'

/** Blocks of one partial file that a claim began and left. Their memory is held until they are taken again. */
export class BegunBlocks {
  readonly #memory: BlockMemory
  readonly #handle: FileHandle
  readonly #blocks: BlockMap
  readonly #byIndex = new Map<number, BegunBlock>()

  constructor(memory: BlockMemory, file: { readonly handle: FileHandle; readonly blocks: BlockMap }) {
    this.#memory = memory
    this.#handle = file.handle
    this.#blocks = file.blocks
  }

  keep(index: number, begun: BegunBlock): void {
    this.#byIndex.set(index, begun)
  }

  /** Whether memory has the beginning of this block: whoever claims it has to go on there. */
  has(index: number): boolean {
    return this.#byIndex.has(index)
  }

  /** What is there of a block that is claimed again: in memory, or on disk since an earlier process. @throws errno errors */
  async take(index: number): Promise<BegunBlock | undefined> {
    const inMemory = this.#byIndex.get(index)
    this.#byIndex.delete(index)
    if (inMemory !== undefined) return inMemory
    const kept = this.#blocks.takeBegun(index)
    const block = kept === undefined ? undefined : this.#memory.take()
    if (kept === undefined || block === undefined) return undefined
    const bytes = block.bytes.subarray(0, kept.length)
    const { bytesRead } = await this.#handle.read(bytes, 0, kept.length, this.#blocks.startOf(index))
    if (bytesRead === kept.length && crc32(bytes) === kept.crc) return { block, ...kept, carriedBytes: 0 }
    this.#memory.giveBack(block)
    return undefined
  }

  /** All that is in memory, to be written as it is. */
  takeAll(): FilledBlock[] {
    const all = [...this.#byIndex].map(([index, begun]) => ({ index, start: this.#blocks.startOf(index), ...begun }))
    this.#byIndex.clear()
    return all
  }

  /** Gives the memory back. */
  close(): void {
    for (const { block } of this.#byIndex.values()) this.#memory.giveBack(block)
    this.#byIndex.clear()
  }
}
