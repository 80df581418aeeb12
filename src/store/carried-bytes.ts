import type { FilledBlock } from './block-writer.ts'

/** What a kill may cost of what came over one connection: a piece of 4 MiB where blocks have their usual length. */
const PIECE_BLOCKS = 4
/** Of these, what a connection may have read and not handed over yet. */
const READER_BLOCKS = 1 / 4
const MOST_BLOCKS = PIECE_BLOCKS - READER_BLOCKS

/**
 * What came over each connection into any file and is not noted yet: a kill loses it. The store does not know the
 * connections, but which ranges come over the same one; any other range may have one that another range had before.
 */
export class CarriedBytes {
  /** Their connections may carry something else by now. */
  readonly #ended = new Set<Carrier>()

  start(): Carrier {
    return new Carrier(this.#ended)
  }
}

/** Ranges that come one after another over one connection. */
export class Carrier {
  readonly #ended: Set<Carrier>
  #bytes = 0
  #users = 0
  /** Whose connection may be this one; undefined before the first byte is wanted. */
  #before: Carrier[] | undefined

  constructor(ended: Set<Carrier>) {
    this.#ended = ended
  }

  /** How many more bytes may come now into a file with blocks of this length. */
  roomFor(blockBytes: number): number {
    this.#before ??= [...this.#ended]
    if (this.#before.length > 0) this.#before = this.#before.filter((carrier) => this.#ended.has(carrier))
    return this.#before.length > 0 ? 0 : Math.floor(MOST_BLOCKS * blockBytes) - this.#bytes
  }

  use(): this {
    this.#users += 1
    return this
  }

  /** After the last range nothing more comes. */
  leave(): void {
    this.#users -= 1
    if (this.#users === 0 && this.#bytes > 0) this.#ended.add(this)
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** So many are noted, or are nobody's loss any more. */
  settle(bytes: number): void {
    this.#bytes -= bytes
    if (this.#bytes === 0) this.#ended.delete(this)
  }
}

/** Whole blocks of one file that are not noted yet. */
export class UnnotedBlocks {
  readonly #blocks = new Set<FilledBlock>()

  add(filled: FilledBlock): void {
    this.#blocks.add(filled)
  }

  /** These are noted, or never will be. */
  settle(blocks: Iterable<FilledBlock> = this.#blocks): void {
    for (const filled of blocks) {
      if (this.#blocks.delete(filled)) filled.carrier?.settle(filled.carriedBytes)
    }
  }
}
