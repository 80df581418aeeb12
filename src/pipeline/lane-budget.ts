import type { Clock } from '../ports.ts'

/** Connections that carry file bytes at the same time. */
const MAX_IN_ALL = 20
const MAX_PER_HOST = 16
/** With so many a host is tried first: one connection near by, or on a slow line, is nearly as fast as many. */
const START_WIDTH = 2
/** How long a width is measured, once all its connections deliver. */
const MEASURE_MS = 80
/** Twice the connections must bring so much more, or they are given up again. */
const WORTH_IT = 1.2
/** How long a width that was found is kept before a wider one is tried again; doubles each time in vain. */
const HOLD_MS = 10_000
const MAX_HOLD_MS = 160_000

/** The right to one connection. */
export interface Lane {
  /** Bytes came over it. */
  moved(bytes: number): void
  /** Whether it should go on after what it fetches now. */
  mayStay(): boolean
  leave(): void
}

interface Host {
  width: number
  /** What the width before brought, bytes a millisecond; undefined when none was tried. */
  before: { readonly width: number; readonly rate: number } | undefined
  lanes: Set<HostLane>
  /** When the measurement began, and what came since. */
  sinceMs: number | undefined
  bytes: number
  holdUntilMs: number
  holdMs: number
}

/**
 * How many connections all downloads together use: few at first, to each host twice as many while that brings more, and
 * back when it does not. Every file has at least one while there are any; more go to whoever asks.
 */
export class LaneBudget {
  readonly #clock: Clock
  readonly #hosts = new Map<string, Host>()
  readonly #listeners = new Set<() => void>()
  #inAll = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param isFirst the only connection of a file: it counts, but is not refused because the host is at its width */
  enter(hostName: string, isFirst: boolean): Lane | undefined {
    const host = this.#host(hostName)
    const limit = isFirst ? MAX_PER_HOST : host.width
    if (host.lanes.size >= limit || this.#inAll >= MAX_IN_ALL) return undefined
    const lane: HostLane = new HostLane(
      {
        onBytes: (bytes) => this.#count(host, bytes),
        // Of those that are too many the one that comes first leaves.
        mayStay: () => lane.isFirst || host.lanes.size <= host.width,
        onLeave: () => {
          host.lanes.delete(lane)
          this.#inAll -= 1
          host.sinceMs = undefined
          this.#tell()
        },
      },
      isFirst,
    )
    host.lanes.add(lane)
    host.sinceMs = undefined
    this.#inAll += 1
    return lane
  }

  /** Calls back whenever another connection may be had; returns a function that ends this. */
  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    const host: Host = {
      width: START_WIDTH,
      before: undefined,
      lanes: new Set(),
      sinceMs: undefined,
      bytes: 0,
      holdUntilMs: 0,
      holdMs: HOLD_MS,
    }
    if (this.#hosts.size >= 256) this.#hosts.clear()
    this.#hosts.set(name, host)
    return host
  }

  #count(host: Host, bytes: number): void {
    // A host that is not used to its width tells nothing about a wider one.
    if (host.lanes.size < host.width) return
    const now = this.#clock.now()
    if (host.sinceMs === undefined) {
      if ([...host.lanes].every((lane) => lane.hasDelivered)) {
        host.sinceMs = now
        host.bytes = 0
      }
      return
    }
    host.bytes += bytes
    if (now - host.sinceMs >= MEASURE_MS) this.#judge(host, host.bytes / (now - host.sinceMs), now)
  }

  #judge(host: Host, rate: number, now: number): void {
    host.sinceMs = undefined
    if (host.before !== undefined && rate < host.before.rate * WORTH_IT) {
      host.width = host.before.width
      host.before = undefined
      host.holdUntilMs = now + host.holdMs
      host.holdMs = Math.min(MAX_HOLD_MS, host.holdMs * 2)
      return
    }
    if (host.width >= MAX_PER_HOST || now < host.holdUntilMs) {
      host.before = undefined
      return
    }
    host.before = { width: host.width, rate }
    host.width = Math.min(MAX_PER_HOST, host.width * 2)
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

interface LaneLinks {
  readonly onBytes: (bytes: number) => void
  readonly mayStay: () => boolean
  readonly onLeave: () => void
}

class HostLane implements Lane {
  readonly isFirst: boolean
  readonly #links: LaneLinks
  #hasLeft = false
  hasDelivered = false

  constructor(links: LaneLinks, isFirst: boolean) {
    this.#links = links
    this.isFirst = isFirst
  }

  moved(bytes: number): void {
    this.hasDelivered = true
    this.#links.onBytes(bytes)
  }

  mayStay(): boolean {
    return this.#links.mayStay()
  }

  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#links.onLeave()
  }
}
