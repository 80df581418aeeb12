/** Bytes of a file that one run of the program read from the network. */
export interface ReadRange {
  readonly file: string
  readonly start: number
  readonly end: number
}

interface Segment {
  readonly start: number
  readonly end: number
  readonly run: number
}

/**
 * Which bytes were read from the network more than once, and which run had read them before: what that run lost when it
 * was killed.
 */
export class FetchedTwice {
  readonly #files = new Map<string, Segment[]>()
  readonly #lost = new Map<number, number>()

  /** @param run number of the run, growing */
  add(run: number, range: ReadRange): void {
    const known = this.#files.get(range.file) ?? []
    const kept: Segment[] = [{ start: range.start, end: range.end, run }]
    for (const segment of known) {
      const start = Math.max(segment.start, range.start)
      const end = Math.min(segment.end, range.end)
      // Within one run a byte may be asked for again after a fault; nothing was lost by a kill then.
      if (start < end && segment.run !== run) this.#lost.set(segment.run, this.lostBy(segment.run) + end - start)
      if (start >= end) kept.push(segment)
      else {
        if (segment.start < start) kept.push({ ...segment, end: start })
        if (segment.end > end) kept.push({ ...segment, start: end })
      }
    }
    this.#files.set(range.file, kept)
  }

  /** Bytes read by this run that a later run read again. */
  lostBy(run: number): number {
    return this.#lost.get(run) ?? 0
  }
}
