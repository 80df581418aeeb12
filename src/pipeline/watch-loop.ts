import { ArchiveError, ERROR_CODES, errorCodeOf } from '../domain/errors.ts'
import type { RepoRef } from '../domain/repo.ts'
import { claimingWatch, type WatchEntry } from '../domain/watch.ts'
import type { PipelineDeps } from './deps.ts'
import { DiskPause, isRefusalOfDisk } from './disk-pause.ts'
import { followRefs } from './follow-refs.ts'
import { planHeads, raisePlanFailures } from './plan-snapshots.ts'
import { rescueEndangered } from './rescue-repos.ts'
import { pollWatch } from './watch-hub.ts'

/** Longest time between two looks at the watch list. */
const TICK_MS = 5000
/** How soon a watch that failed is polled again; doubles up to its own `every`. */
const FIRST_RETRY_MS = 15_000
/** Least time between a poll and the next one that only a hint asks for: many hints in it are one poll. */
const HINT_PAUSE_MS = 10_000

interface Due {
  atMs: number
  /** In a row. */
  failures: number
  /** When it was last polled by this process; undefined = not yet. */
  polledMs: number | undefined
  /** Whether a hint came since its last poll began: what the poll read may be older than the news. */
  isHinted: boolean
}

/** Polls each watch when it is due, one at a time, and lists what is new. */
export class WatchLoop {
  readonly #deps: PipelineDeps
  readonly #reschedule: () => Promise<void>
  readonly #pause: DiskPause
  readonly #due = new Map<string, Due>()

  /**
   * @param deps `settings` may change at any time
   * @param reschedule called after each poll that found its way into the catalog
   */
  /** @param pause shared with whoever else meets the disk */
  constructor(deps: PipelineDeps, reschedule: () => Promise<void>, pause = new DiskPause()) {
    this.#deps = deps
    this.#pause = pause
    this.#reschedule = reschedule
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<never> {
    const { clock } = this.#deps
    for (;;) {
      signal.throwIfAborted()
      const nowMs = clock.now()
      const watch = await this.#nextDue(nowMs)
      if (watch === 'refused') await clock.sleep(TICK_MS, signal)
      else if (watch === undefined) await clock.sleep(Math.min(TICK_MS, this.#waitMs(nowMs)), signal)
      else await this.#pollAndPlan(watch, signal)
    }
  }

  /**
   * Somebody says that there is news of a repository. The watch that covers it is polled soon; nothing else of what was
   * said is used. A watch that fails keeps its pause.
   * @returns whether a watch covers it
   */
  hint(ref: RepoRef): boolean {
    const watch = claimingWatch(this.#deps.settings.watches, ref)
    if (watch === undefined) return false
    const nowMs = this.#deps.clock.now()
    const due = this.#due.get(watch.key) ?? { atMs: nowMs, failures: 0, polledMs: undefined, isHinted: true }
    this.#due.set(watch.key, due)
    if (due.failures > 0) return true
    due.isHinted = true
    const earliestMs = due.polledMs === undefined ? nowMs : Math.max(nowMs, due.polledMs + HINT_PAUSE_MS)
    due.atMs = Math.min(due.atMs, earliestMs)
    return true
  }

  /** The watch that is due longest; `refused` when the disk does not let us ask the catalog. */
  async #nextDue(nowMs: number): Promise<WatchEntry | 'refused' | undefined> {
    try {
      return await this.#longestDue(nowMs)
    } catch (error) {
      if (ERROR_CODES[errorCodeOf(error)].exitCode !== 9) throw error
      this.#deps.log.warn({ component: 'watch', code: errorCodeOf(error), err: error }, 'catalog not readable')
      return 'refused'
    }
  }

  async #longestDue(nowMs: number): Promise<WatchEntry | undefined> {
    let next: WatchEntry | undefined
    let nextAt = Number.POSITIVE_INFINITY
    for (const watch of this.#deps.settings.watches) {
      const due = this.#due.get(watch.key) ?? (await this.#firstDue(watch))
      // A clock that was set back must not put a poll off for the length of the jump.
      due.atMs = Math.min(due.atMs, nowMs + Math.max(watch.everyMs, FIRST_RETRY_MS))
      this.#due.set(watch.key, due)
      if (due.atMs <= nowMs && due.atMs < nextAt) {
        next = watch
        nextAt = due.atMs
      }
    }
    return next
  }

  /** After a start a watch waits for the rest of its period, so that restarts do not hammer the Hub. */
  async #firstDue(watch: WatchEntry): Promise<Due> {
    const state = await this.#deps.catalog.watchState(watch.key)
    const last = state?.lastErrorCode === undefined ? state?.lastOkAt : undefined
    const now = this.#deps.clock.now()
    const atMs = last === undefined ? now : Math.min(Date.parse(last) + watch.everyMs, now + watch.everyMs)
    return { atMs, failures: 0, polledMs: undefined, isHinted: false }
  }

  #waitMs(nowMs: number): number {
    const times = this.#deps.settings.watches.map((watch) => this.#due.get(watch.key)?.atMs ?? nowMs)
    return Math.max(10, Math.min(...times) - nowMs)
  }

  async #pollAndPlan(watch: WatchEntry, signal: AbortSignal): Promise<void> {
    const deps = this.#deps
    const before = this.#due.get(watch.key)
    const failures = before?.failures ?? 0
    if (before !== undefined) before.isHinted = false
    try {
      await pollWatch(deps, watch, signal)
      const planned = await planHeads(deps, watch.key, signal)
      await raisePlanFailures(deps, planned.failures)
      const retryMs = planned.failures.length > 0 ? Math.min(FIRST_RETRY_MS * 4, watch.everyMs) : watch.everyMs
      const nowMs = deps.clock.now()
      const nextMs = before?.isHinted === true ? Math.min(retryMs, HINT_PAUSE_MS) : retryMs
      this.#due.set(watch.key, { atMs: nowMs + nextMs, failures: 0, polledMs: nowMs, isHinted: false })
      await rescueEndangered(deps, signal)
      await this.#reschedule()
      await followRefs(deps, watch.key, signal)
      await this.#pause.resumed('watch', deps)
    } catch (error) {
      signal.throwIfAborted()
      const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), Math.max(watch.everyMs, FIRST_RETRY_MS))
      const nowMs = deps.clock.now()
      this.#due.set(watch.key, { atMs: nowMs + pauseMs, failures: failures + 1, polledMs: nowMs, isHinted: false })
      this.#tellFailure(watch, error, failures, pauseMs)
      const isRefusal = error instanceof ArchiveError && ERROR_CODES[error.code].exitCode === 9
      if (isRefusal && isRefusalOfDisk(error)) await this.#pause.refused('watch', deps, error)
    }
  }

  #tellFailure(watch: WatchEntry, error: unknown, failures: number, pauseMs: number): void {
    const { log, progress, hub, clock } = this.#deps
    const code = errorCodeOf(error)
    log.warn({ component: 'watch', watch: watch.key, code, retryMs: pauseMs, err: error }, 'poll failed')
    if (code === 'HUB_UNREACHABLE' && failures === 0) {
      progress.waiting(
        `the Hub at ${hub.endpoint} is unreachable; trying again by itself. What is archived stays usable. ` +
          '`npm run demo` (in a checkout) shows weightvault without a network',
        clock.now() + pauseMs,
      )
    }
    const message = error instanceof Error ? error.message : String(error)
    if (ERROR_CODES[code].exitCode === 9) progress.waiting(message, clock.now() + pauseMs)
  }
}
