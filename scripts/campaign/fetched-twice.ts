/** Bytes of a file that one run of the program read from the network. */
export interface ReadRange {
  readonly file: string
  readonly start: number
  readonly end: number
}

/** Who read them: a connection of one run. */
export interface Reader {
  /** Number of the run, growing. */
  readonly run: number
  /** Port of the client's side. */
  readonly connection: number
}

interface Segment extends Reader {
  readonly start: number
  readonly end: number
}

/**
 * Which bytes were read from the network more than once, and over which connection of which run they had come before:
 * what that run lost when it was killed.
 */
export class FetchedTwice {
  readonly #files = new Map<string, Segment[]>()
  readonly #lost = new Map<number, Map<number, number>>()

  add(reader: Reader, range: ReadRange): void {
    const known = this.#files.get(range.file) ?? []
    const kept: Segment[] = [{ start: range.start, end: range.end, ...reader }]
    for (const segment of known) {
      const start = Math.max(segment.start, range.start)
      const end = Math.min(segment.end, range.end)
      // Within one run a byte may be asked for again after a fault; nothing was lost by a kill then.
      if (start < end && segment.run !== reader.run) this.#lose(segment, end - start)
      if (start >= end) kept.push(segment)
      else {
        if (segment.start < start) kept.push({ ...segment, end: start })
        if (segment.end > end) kept.push({ ...segment, start: end })
      }
    }
    this.#files.set(range.file, kept)
  }

  /** Bytes read by this run that a later run read again, by the connection they had come over. */
  lostBy(run: number): ReadonlyMap<number, number> {
    return this.#lost.get(run) ?? new Map<number, number>()
  }

  #lose({ run, connection }: Reader, bytes: number): void {
    const lost = this.#lost.get(run) ?? new Map<number, number>()
    lost.set(connection, (lost.get(connection) ?? 0) + bytes)
    this.#lost.set(run, lost)
  }
}
