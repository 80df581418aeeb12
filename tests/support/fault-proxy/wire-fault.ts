/** What a fault proxy does to the wire, as plain data: a seed or a person can write it down and play it again. */

/** A place in an answer. */
export type Spot =
  /** Before the request was read: at the connection itself. */
  | 'connection'
  | 'before-headers'
  /** After half of the bytes of status line and headers. */
  | 'in-headers'
  /** After so many bytes of the body; negative: so many before its end. */
  | { readonly body: number }
  /** Before this offset of the file, when the answer holds it. */
  | { readonly file: number }

/** A byte of a body. */
export type BytePlace = Exclude<Spot, string>

export interface WireFault {
  readonly origin?: 'hub' | 'cdn'
  /** Source of a regular expression for the request target as sent. Not asked by a fault at `connection`. */
  readonly path?: string
  /** Starts at the n-th request (or connection) that matches, from 1. */
  readonly nth?: number
  /** How many it meets from there; default: all. */
  readonly times?: number

  /** RST. */
  readonly reset?: Spot
  /** An orderly end. */
  readonly close?: Spot
  /** Says nothing more, and keeps the connection. */
  readonly stall?: Spot
  /** The lowest bit of this byte is another one. A byte of a file is met only by requests that ask for it. */
  readonly flip?: BytePlace
  /** Bytes of one write; default: as they come. */
  readonly writeBytes?: number

  /** Another status in front of the same headers and body. */
  readonly status?: number
  /** Headers in place of those with the same name, written as given; null leaves one out. The body stays as it is. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  /** An answer in place of the Hub's, with a true Content-Length unless `headers` has one. */
  readonly answer?: {
    readonly status: number
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
  }
  /** These characters (latin1) in place of an answer; then the connection ends. */
  readonly raw?: string
}

/** The request as faults see it. */
export interface WireRequest {
  readonly origin: 'hub' | 'cdn'
  readonly method: string
  readonly path: string
  /** What it asks of a file; undefined: all of it. */
  readonly range?: { readonly start: number; readonly end: number } | undefined
}

interface Armed {
  readonly fault: WireFault
  seen: number
  hits: number
}

/** The faults that are in force, and how often each was met. */
export class FaultList {
  #armed: Armed[] = []

  add(...faults: readonly WireFault[]): void {
    this.#armed.push(...faults.map((fault) => ({ fault, seen: 0, hits: 0 })))
  }

  clear(): void {
    this.#armed = []
  }

  /** How many requests and connections were met by a fault since the last `clear`. */
  get hits(): number {
    return this.#armed.reduce((sum, { hits }) => sum + hits, 0)
  }

  /** The first fault that meets a new connection. */
  forConnection(origin: 'hub' | 'cdn'): WireFault | undefined {
    return this.#first((fault) => spotsOf(fault).includes('connection') && (fault.origin ?? origin) === origin)
  }

  /** The first fault that meets a request. One fault an answer: which of two did what would be anybody's guess. */
  forRequest(request: WireRequest): WireFault | undefined {
    return this.#first((fault) => {
      if (spotsOf(fault).includes('connection') || (fault.origin ?? request.origin) !== request.origin) return false
      if (fault.flip !== undefined && !asksFor(request, fault.flip)) return false
      return fault.path === undefined || new RegExp(fault.path).test(request.path)
    })
  }

  #first(matches: (fault: WireFault) => boolean): WireFault | undefined {
    for (const one of this.#armed) {
      if (!matches(one.fault)) continue
      one.seen += 1
      if (one.seen < (one.fault.nth ?? 1) || one.hits >= (one.fault.times ?? Infinity)) continue
      one.hits += 1
      return one.fault
    }
    return undefined
  }
}

function asksFor({ range }: WireRequest, place: BytePlace): boolean {
  return range === undefined || !('file' in place) || (place.file >= range.start && place.file < range.end)
}

function spotsOf(fault: WireFault): (Spot | undefined)[] {
  return [fault.reset, fault.close, fault.stall]
}
