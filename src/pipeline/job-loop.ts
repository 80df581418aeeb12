import { ArchiveError, ERROR_CODES } from '../domain/errors.ts'
import type { PipelineDeps } from './deps.ts'
import { type DiskPause, isRefusalOfDisk } from './disk-pause.ts'
import { removeOrphans } from './remove-orphans.ts'
import { runJobs, type RunResult } from './run-jobs.ts'

/** How long the loop rests when nothing is due. */
const REST_MS = 1000
/** How soon what is due and does not fit is looked at again: budget, reserve and policy may have changed. */
const NO_ROOM_REST_MS = 5000
/** How soon work goes on after the disk refused it; doubles up to the longest pause. */
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 60_000
const BALLAST_EVERY_MS = 60_000
const ORPHANS_EVERY_MS = 60 * 60_000

/** Downloads whatever may move, for ever; pauses by itself when the disk refuses, tells it once, and goes on by itself. */
export async function runJobLoop(deps: PipelineDeps, pause: DiskPause, signal: AbortSignal): Promise<never> {
  const care = new DiskCare(deps)
  let noRoom: string | undefined
  for (let refusals = 0; ;) {
    signal.throwIfAborted()
    if (refusals === 0) await care.take(signal)
    const { stoppedBy: stopped, fetchedFiles } = await runUntilRefused(deps, refusals > 0, signal)
    if (stopped !== undefined && isRefusalOfDisk(stopped)) {
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(refusals, 10), LONGEST_PAUSE_MS)
      refusals += 1
      deps.log.warn({ component: 'jobs', code: stopped.code, err: stopped }, 'downloads paused')
      await pause.refused('jobs', deps, stopped)
      deps.progress.waiting(stopped.message, deps.clock.now() + pauseMs)
      await deps.clock.sleep(pauseMs, signal)
      continue
    }
    refusals = 0
    // That nothing fits says nothing about the disk: a pause ends when it took something, or nothing is due.
    if (stopped === undefined || fetchedFiles > 0) await pause.resumed('jobs', deps)
    // What does not fit is no trouble of its own: the schedule has told it, and everything that fits goes on.
    if (stopped !== undefined && stopped.code !== noRoom) {
      deps.log.info({ component: 'jobs', code: stopped.code, reason: stopped.message }, 'nothing that is due fits')
    }
    noRoom = stopped?.code
    await deps.clock.sleep(stopped === undefined ? REST_MS : NO_ROOM_REST_MS, signal)
  }
}

/**
 * What the disk refuses is a pause, wherever it was met.
 * @param wasRefused before: leases that could not be given back then (that, too, is a write) are given back now
 */
async function runUntilRefused(
  deps: PipelineDeps,
  wasRefused: boolean,
  signal: AbortSignal,
): Promise<Pick<RunResult, 'stoppedBy' | 'fetchedFiles'>> {
  try {
    if (wasRefused) await deps.catalog.releaseAllLeases()
    return await runJobs(deps, undefined, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError) || ERROR_CODES[error.code].exitCode !== 9) throw error
    return { stoppedBy: error, fetchedFiles: 0 }
  }
}

/** Housekeeping of the disk between runs. Nothing depends on it, so its failures are only logged. */
class DiskCare {
  readonly #deps: PipelineDeps
  #ballastAtMs = Number.NEGATIVE_INFINITY
  #orphansAtMs = Number.NEGATIVE_INFINITY

  constructor(deps: PipelineDeps) {
    this.#deps = deps
  }

  async take(signal: AbortSignal): Promise<void> {
    const { clock, blobs, settings, log } = this.#deps
    const nowMs = clock.now()
    try {
      if (isDue(this.#ballastAtMs, nowMs, BALLAST_EVERY_MS)) {
        this.#ballastAtMs = nowMs
        await blobs.keepBallast(settings.reserveBytes)
      }
      if (isDue(this.#orphansAtMs, nowMs, ORPHANS_EVERY_MS)) {
        this.#orphansAtMs = nowMs
        await removeOrphans(this.#deps, signal)
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArchiveError)) throw error
      log.warn({ component: 'disk', code: error.code, err: error }, 'disk not tidied')
    }
  }
}

/** A clock that was set back counts as time that passed. */
function isDue(lastMs: number, nowMs: number, everyMs: number): boolean {
  return nowMs < lastMs || nowMs - lastMs >= everyMs
}
