import type { Clock } from '../clock-port.ts'
import type { CommitId } from '../domain/digest.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import type { LoggedEvent } from '../domain/events.ts'
import type { HubFile } from '../hub-port.ts'
import type { Progress } from '../progress-port.ts'

/** What a running service is doing right now; the answer to `status`. */
export interface ActivityReport {
  readonly startedAt: string
  /** Over the last ten seconds. */
  readonly bytesPerSecond: number
  readonly active: readonly {
    readonly repo: string
    readonly path: string
    readonly size: number
    readonly done: number
  }[]
  readonly waiting: { readonly reason: string; readonly until: string | undefined } | undefined
}

const RATE_SLOTS = 10

/** Passes progress on and keeps the last moments of it, so that another process can ask. */
export class Activity implements Progress {
  readonly #next: Progress
  readonly #clock: Clock
  readonly #startedAt: string
  readonly #active = new Map<string, { repo: string; path: string; size: number; done: number }>()
  /** Bytes of each of the last seconds, by second modulo RATE_SLOTS. */
  readonly #slots = Array.from({ length: RATE_SLOTS }, () => 0)
  #slotSecond = 0
  #waiting: ActivityReport['waiting']

  constructor(next: Progress, clock: Clock) {
    this.#next = next
    this.#clock = clock
    this.#startedAt = new Date(clock.now()).toISOString()
  }

  report(): ActivityReport {
    this.#turnSlots()
    const bytes = this.#slots.reduce((sum, slot) => sum + slot, 0)
    return {
      startedAt: this.#startedAt,
      bytesPerSecond: Math.round(bytes / RATE_SLOTS),
      active: [...this.#active.values()],
      waiting: this.#waiting,
    }
  }

  polled(watch: string, repos: number, changed: number): void {
    this.#waiting = undefined
    this.#next.polled(watch, repos, changed)
  }

  listed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void {
    this.#next.listed(ref, commit, files, bytes)
  }

  total(files: number, bytes: number): void {
    this.#next.total(files, bytes)
  }

  started(file: HubFile, size: number, resumedAt: number): void {
    this.#waiting = undefined
    const repo = printRepo(file.ref)
    this.#active.set(keyOf(file), { repo, path: displayName(file.path), size, done: resumedAt })
    this.#next.started(file, size, resumedAt)
  }

  moved(file: HubFile, bytes: number): void {
    this.#turnSlots()
    this.#slots[this.#slotSecond % RATE_SLOTS] = (this.#slots[this.#slotSecond % RATE_SLOTS] ?? 0) + bytes
    const entry = this.#active.get(keyOf(file))
    if (entry !== undefined) entry.done += bytes
    this.#next.moved(file, bytes)
  }

  ended(file: HubFile): void {
    this.#active.delete(keyOf(file))
    this.#next.ended(file)
  }

  finished(file: HubFile, size: number): void {
    this.#active.delete(keyOf(file))
    this.#next.finished(file, size)
  }

  failed(file: HubFile, code: string, message: string): void {
    this.#active.delete(keyOf(file))
    this.#next.failed(file, code, message)
  }

  refused(file: HubFile): void {
    this.#active.delete(keyOf(file))
    this.#next.refused(file)
  }

  sealed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void {
    this.#next.sealed(ref, commit, files, bytes)
  }

  events(events: readonly LoggedEvent[]): void {
    this.#next.events(events)
  }

  verified(path: string, bytes: number, did?: Parameters<Progress['verified']>[2]): void {
    this.#next.verified(path, bytes, did)
  }

  waiting(reason: string, untilMs: number | undefined): void {
    this.#waiting = { reason, until: untilMs === undefined ? undefined : new Date(untilMs).toISOString() }
    this.#next.waiting(reason, untilMs)
  }

  #turnSlots(): void {
    const second = Math.floor(this.#clock.now() / 1000)
    const passed = Math.min(RATE_SLOTS, second - this.#slotSecond)
    for (let step = 1; step <= passed; step += 1) this.#slots[(this.#slotSecond + step) % RATE_SLOTS] = 0
    if (passed === RATE_SLOTS) this.#slots.fill(0)
    this.#slotSecond = second
  }
}

function keyOf(file: HubFile): string {
  return `${printRepo(file.ref)}@${file.commit}/${file.path}`
}
