const PAGE_BYTES = 4096

/** A part of an arena. */
export interface ArenaRange {
  readonly offset: number
  readonly length: number
}

/** One piece of memory that worker threads see, too, given out in runs of pages and used again. */
export class MemoryArena {
  /** All of it, for worker threads. */
  readonly memory: SharedArrayBuffer
  /** 1 for every page that is in use. */
  readonly #pages: Uint8Array

  constructor(bytes: number) {
    this.memory = new SharedArrayBuffer(Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES)
    this.#pages = new Uint8Array(this.memory.byteLength / PAGE_BYTES)
  }

  /** The first free run of this length; undefined while there is none. */
  allocate(length: number): ArenaRange | undefined {
    const wanted = pagesOf(length)
    for (let start = this.#pages.indexOf(0); start >= 0 && start + wanted <= this.#pages.length;) {
      const used = this.#pages.subarray(start, start + wanted).lastIndexOf(1)
      if (used < 0) {
        this.#pages.fill(1, start, start + wanted)
        return { offset: start * PAGE_BYTES, length }
      }
      start = this.#pages.indexOf(0, start + used + 1)
    }
    return undefined
  }

  /** The bytes of a range. */
  bytes({ offset, length }: ArenaRange): Uint8Array {
    return new Uint8Array(this.memory, offset, length)
  }

  free({ offset, length }: ArenaRange): void {
    const start = offset / PAGE_BYTES
    this.#pages.fill(0, start, start + pagesOf(length))
  }
}

function pagesOf(length: number): number {
  return Math.max(1, Math.ceil(length / PAGE_BYTES))
}
