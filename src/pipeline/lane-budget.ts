import type { Clock } from '../clock-port.ts'

/** Connections that carry file bytes at the same time. */
const MAX_IN_ALL = 20
const MAX_PER_HOST = 16
/** A host that has not answered after so long is far away, or thinks: one connection would wait, or be kept by its window. */
export const FAR_MS = 25
/** How long a width is measured, once all its connections deliver. */
const MEASURE_MS = 80
/** Twice the connections must bring so much more to be worth it. */
const WORTH_IT = 1.2
/** Connections that wait for us for so much of their time are enough: the disk or the hash is behind, not the line. */
const HELD_UP = 0.2
/** How long a width that was found is kept before another is tried; doubles each time in vain. */
const HOLD_MS = 10_000
const MAX_HOLD_MS = 160_000

/** The right to one connection. */
export interface Lane {
  /** `FAR_MS` went by without the answer that was asked for. */
  waits(): void
  /** The head of an answer came. */
  answered(): void
  /** Bytes came over it. */
  moved(bytes: number): void
  /** So long its bytes waited for memory: what came before was not written or hashed yet. */
  held(ms: number): void
  /** Nothing came over it, or it was told to wait: the host may not want so many at the same time. */
  refused(): void
  /** Whether it should go on after what it fetches now. */
  mayStay(): boolean
  leave(): void
  /** Whether bytes came over it. */
  readonly hasDelivered: boolean
}

interface Host {
  width: number
  /** No more than these, not even as the first of a file, until `holdUntilMs`: the host refused the next one. */
  most: number
  /** The width that another one is tried against now, and what it brought in bytes a millisecond. */
  before: { readonly width: number; readonly rate: number } | undefined
  /** What is tried next. */
  direction: 'wider' | 'narrower'
  isFar: boolean | undefined
  lanes: Set<HostLane>
  /** When the measurement began, and what came since. */
  sinceMs: number | undefined
  bytes: number
  heldMs: number
  holdUntilMs: number
  holdMs: number
}

/**
 * How many connections all downloads together use: to each host one at first and twice as many while that brings more and
 * they do not wait for us, or many at first where the host is far away, and half as many while that brings no less. Now and then it is tried again.
 * Every file has at least one while there are any; more go to whoever asks. A host that refuses some of many is asked
 * over as many as it took, and for more later only.
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
    if (!isHeld(host, this.#clock.now())) host.most = MAX_PER_HOST
    const limit = isFirst ? host.most : Math.min(host.width, host.most)
    if (host.lanes.size >= limit || this.#inAll >= MAX_IN_ALL) return undefined
    const lane: HostLane = new HostLane(
      {
        onDistance: (isFar) => this.#learnDistance(host, isFar),
        onBytes: (bytes) => this.#count(host, bytes),
        onHeld: (ms) => (host.heldMs += ms),
        onRefused: () => this.#narrow(host),
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
      width: 1,
      most: MAX_PER_HOST,
      before: undefined,
      direction: 'wider',
      isFar: undefined,
      lanes: new Set(),
      sinceMs: undefined,
      bytes: 0,
      heldMs: 0,
      holdUntilMs: 0,
      holdMs: HOLD_MS,
    }
    if (this.#hosts.size >= 256) this.#hosts.clear()
    this.#hosts.set(name, host)
    return host
  }

  /** The first request tells how far away the host is. */
  #learnDistance(host: Host, isFar: boolean): void {
    // Several that begin at once hold each other up, with their handshakes for one.
    if (host.isFar !== undefined || (isFar && host.lanes.size > 1)) return
    host.isFar = isFar
    if (!isFar) return
    host.width = host.most
    host.before = undefined
    host.direction = 'narrower'
    host.holdUntilMs = this.#clock.now() + host.holdMs
    this.#tell()
  }

  #count(host: Host, bytes: number): void {
    // A host that is not used to its width tells nothing about a wider one.
    if (host.lanes.size < host.width) return
    const now = this.#clock.now()
    if (host.sinceMs === undefined) {
      if ([...host.lanes].every((lane) => lane.hasDelivered)) {
        host.sinceMs = now
        host.bytes = 0
        host.heldMs = 0
      }
      return
    }
    host.bytes += bytes
    const ms = now - host.sinceMs
    if (ms < MEASURE_MS) return
    // One alone also waits until what it brought itself is safe.
    const isHeldUp = host.width > 1 && host.heldMs >= HELD_UP * ms * host.lanes.size
    this.#judge(host, { rate: host.bytes / ms, isHeldUp }, now)
  }

  #judge(host: Host, { rate, isHeldUp }: { rate: number; isHeldUp: boolean }, now: number): void {
    host.sinceMs = undefined
    const { before } = host
    host.before = undefined
    if (before !== undefined && !isWorthIt(before, { width: host.width, rate })) {
      host.width = before.width
      this.#keep(host, now)
      this.#tell()
    } else if (!isHeld(host, now)) {
      const next = host.direction === 'wider' ? Math.min(MAX_PER_HOST, host.width * 2) : Math.ceil(host.width / 2)
      if (next === host.width || (isHeldUp && next > host.width)) return this.#keep(host, now)
      host.before = { width: host.width, rate }
      host.width = next
      this.#tell()
    }
  }

  #narrow(host: Host): void {
    // The only one was not one too many.
    if (host.lanes.size === 1) return
    const now = this.#clock.now()
    // Those that are refused together are one refusal.
    if (!isHeld(host, now)) host.holdMs = Math.min(MAX_HOLD_MS, host.holdMs * 2)
    host.holdUntilMs = now + host.holdMs
    host.most = Math.min(host.most, host.lanes.size - 1)
    host.width = Math.min(host.width, host.most)
    host.before = undefined
    host.direction = 'wider'
    host.sinceMs = undefined
  }

  /** There is nothing better in this direction for now. */
  #keep(host: Host, now: number): void {
    host.direction = host.direction === 'wider' ? 'narrower' : 'wider'
    host.holdUntilMs = now + host.holdMs
    host.holdMs = Math.min(MAX_HOLD_MS, host.holdMs * 2)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Whether nothing else is to be tried yet. An end further away than any is of a clock that has been set back since. */
function isHeld({ holdUntilMs }: Host, now: number): boolean {
  return now < holdUntilMs && holdUntilMs - now <= MAX_HOLD_MS
}

/** More connections must bring more; fewer may bring a little less. */
function isWorthIt(before: { width: number; rate: number }, now: { width: number; rate: number }): boolean {
  return now.width > before.width ? now.rate >= before.rate * WORTH_IT : now.rate * WORTH_IT >= before.rate
}

interface LaneLinks {
  readonly onDistance: (isFar: boolean) => void
  readonly onBytes: (bytes: number) => void
  readonly onHeld: (ms: number) => void
  readonly onRefused: () => void
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

  waits(): void {
    this.#links.onDistance(true)
  }

  answered(): void {
    this.#links.onDistance(false)
  }

  moved(bytes: number): void {
    this.hasDelivered = true
    this.#links.onBytes(bytes)
  }

  refused(): void {
    this.#links.onRefused()
  }

  held(ms: number): void {
    this.#links.onHeld(ms)
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
