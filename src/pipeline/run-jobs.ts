import PQueue from 'p-queue'
import { printRepo } from '../domain/repo.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { Job } from '../work-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'
import { fits, limitsOf, measureRoom, refusalOf, takeRoom } from './disk-room.ts'
import { downloadBlob } from './download-blob.ts'
import { leaseBasics, mayStart, newRun, sharedOf, type JobRun, type RunResult } from './job-run.ts'
import { sealSnapshots } from './seal-snapshot.ts'
import { settleFailure } from './settle-failure.ts'
import { SmallLane } from './small-lane.ts'
import { trySources } from './try-sources.ts'
import { attest, verifyBlob } from './verify-blob.ts'

export type { JobFailure, RunResult } from './job-run.ts'

/** Large downloads at the same time: they share the line. */
const PARALLEL_DOWNLOADS = 8
/** How often the catalog is asked for new work while a slot is free and something still runs. */
const LOOK_AGAIN_MS = 2000

/**
 * Runs every due job until none is left, sealing snapshots as they become complete: small contents in a lane of their
 * own beside the large ones. Failed jobs wait in the catalog for their next try. Ends early, without error, when the disk
 * refuses: `stoppedBy` says why, and every job is kept.
 * @param repos only jobs wanted by these; undefined = all
 */
export async function runJobs(
  deps: PipelineDeps,
  repos: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<RunResult> {
  const run = newRun(deps, repos, signal)
  const queue = new PQueue({ concurrency: PARALLEL_DOWNLOADS })
  await using small = new SmallLane(run)
  try {
    while (await step(run, queue, small)) signal.throwIfAborted()
  } finally {
    await Promise.all([queue.onIdle(), small.idle()])
  }
  if (run.bug !== undefined) throw run.bug
  return run.result
}

/** One turn: seal what is complete, start what may start, or wait for something to end. False when nothing is left to do. */
async function step(run: JobRun, queue: PQueue, small: SmallLane): Promise<boolean> {
  if (run.mayBeComplete) {
    run.mayBeComplete = false
    for (const snapshot of await sealSnapshots(run.deps, run.signal)) {
      run.result.sealed.push({ repo: printRepo(snapshot.ref), commit: snapshot.commit })
    }
  }
  run.changes.reset()
  if (mayStart(run) && (await small.refill())) return true
  if (mayStart(run) && queue.pending < PARALLEL_DOWNLOADS) {
    const job = await leaseLarge(run)
    if (job !== undefined) {
      run.running.set(job.key, job.size)
      void queue.add(() => runJob(run, job))
      return true
    }
  }
  if (queue.pending === 0 && small.active === 0) {
    const isMore = mayStart(run) && (await explainLeftOver(run))
    return isMore || run.mayBeComplete
  }
  await nextChange(run, mayStart(run) && queue.pending < PARALLEL_DOWNLOADS)
  return true
}

/** The next large job that disk and budget can take now: one that is too large lets others pass. */
async function leaseLarge(run: JobRun): Promise<Job | undefined> {
  const { deps, room } = run
  const options = { ...leaseBasics(run), largerThan: SMALL_CONTENT_BYTES }
  // What was measured a moment ago may have changed for the better: nothing is refused before a new measurement.
  for (const isLast of [false, true]) {
    if (isLast) room.measuredAtMs = Number.NEGATIVE_INFINITY
    const refusal = await measureRoom(deps, room, run.running)
    // What runs may have been refused meanwhile.
    run.result.stoppedBy ??= refusal
    if (run.result.stoppedBy !== undefined) return undefined
    const job = await deps.catalog.leaseJob({ ...options, ...limitsOf(room) })
    if (job === undefined) continue
    takeRoom(room, job)
    return job
  }
  return undefined
}

/**
 * When nothing runs and nothing that is due fits, `stoppedBy` says why. Returns whether something that fits is due after
 * all: it was planned, or what ran ended, while the others were looked for.
 */
async function explainLeftOver(run: JobRun): Promise<boolean> {
  const { deps, room } = run
  const left = await deps.catalog.leaseJob(leaseBasics(run))
  if (left === undefined) return false
  await deps.catalog.releaseJobs([left.jobId])
  if (fits(room, left)) return true
  run.result.stoppedBy = refusalOf(deps.settings, room, left.size)
  return false
}

/** Waits until something ends; with a free slot also looks again soon, because another task may have planned new work. */
async function nextChange(run: JobRun, lookAgain: boolean): Promise<void> {
  if (!lookAgain) return run.changes.wait()
  const waiting = new AbortController()
  const slept = run.deps.clock.sleep(LOOK_AGAIN_MS, AbortSignal.any([waiting.signal, run.signal])).then(
    () => true,
    () => false,
  )
  const changed = run.changes.wait().then(() => false)
  // Another task may have listed a snapshot whose files are all held.
  if (await Promise.race([changed, slept])) run.mayBeComplete = true
  waiting.abort()
}

async function runJob(run: JobRun, job: Job): Promise<void> {
  const { deps, result, signal } = run
  try {
    const { digests, source } = await trySources(deps, job, run.closed, signal, async (from) => {
      const brought = await downloadBlob(deps, job, from, sharedOf(run), signal)
      await verifyBlob(deps, job, brought, from, signal)
      return brought
    })
    const attestedBy = await attest(deps, job, digests)
    const done = await deps.catalog.completeJobs([{ jobId: job.jobId, digests, attestedBy }], nowIso(deps))
    announce(deps, done.events)
    if (done.complete.length > 0) run.mayBeComplete = true
    if (source === undefined) return
    result.fetchedFiles += 1
    result.fetchedBytes += job.size
    deps.progress.finished(source, job.size)
  } catch (error) {
    await settleFailure(run, job, error)
  } finally {
    run.running.delete(job.key)
    run.progressed.delete(job.jobId)
    run.changes.wake()
  }
}
