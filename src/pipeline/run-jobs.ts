import PQueue from 'p-queue'
import { backOffMs } from '../domain/back-off.ts'
import type { CommitId } from '../domain/digest.ts'
import { ArchiveError, ERROR_CODES, errorCodeOf, type ErrorCode } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { displayName } from '../domain/file-name.ts'
import type { ContentKey } from '../domain/listing.ts'
import { printRepo } from '../domain/repo.ts'
import { contradictionEvent } from '../domain/witness.ts'
import { TokenBucket } from '../lib/token-bucket.ts'
import type { Job } from '../catalog-rows.ts'
import type { Digests } from '../ports.ts'
import { announce, nowIso, raise, type PipelineDeps } from './deps.ts'
import {
  asArchiveError,
  limitsOf,
  measureRoom,
  refusalOf,
  takeRoom,
  unmeasuredRoom,
  type DiskRoom,
} from './disk-room.ts'
import { downloadBlob, HeldBack, type Closure, type SharedTransfer } from './download-blob.ts'
import { mayLargeFilesMove } from './schedule-jobs.ts'
import { sealSnapshots } from './seal-snapshot.ts'
import { verifyBlob } from './verify-blob.ts'

/** Downloads at the same time: small files hide each other's round trips, large ones share the line. */
const PARALLEL_DOWNLOADS = 8
/** How often the catalog is asked for new work while a slot is free and something still runs. */
const LOOK_AGAIN_MS = 2000

/** One file that failed in this run. */
export interface JobFailure {
  readonly repo: string
  readonly path: string
  readonly code: ErrorCode
  readonly message: string
}

/** What a run of jobs did. */
export interface RunResult {
  fetchedFiles: number
  fetchedBytes: number
  readonly sealed: { readonly repo: string; readonly commit: CommitId }[]
  readonly failed: JobFailure[]
  /** Why it ended before everything allowed was done: the disk or the budget takes no more, or the archive is gone. */
  stoppedBy: ArchiveError | undefined
}

interface Run {
  readonly deps: PipelineDeps
  bucket: TokenBucket | undefined
  rate: number | undefined
  readonly result: RunResult
  /** Repositories that refused a file in this run, with their answer: the rest of their files need not be asked for. */
  readonly closed: Map<string, Closure>
  /** What is an event already in this run. */
  readonly announced: Set<string>
  readonly room: DiskRoom
  /** Whole sizes of what is downloaded now. */
  readonly running: Map<ContentKey, number>
  mayBeComplete: boolean
  bug: Error | undefined
}

/**
 * Runs every due job until none is left, sealing snapshots as they become complete. Failed jobs wait in the catalog for
 * their next try. Ends early, without error, when the disk refuses: `stoppedBy` says why, and every job is kept.
 * @param repos only jobs wanted by these; undefined = all
 */
export async function runJobs(
  deps: PipelineDeps,
  repos: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<RunResult> {
  const run: Run = {
    deps,
    bucket: undefined,
    rate: undefined,
    result: { fetchedFiles: 0, fetchedBytes: 0, sealed: [], failed: [], stoppedBy: undefined },
    closed: new Map(),
    announced: new Set(),
    room: unmeasuredRoom(),
    running: new Map(),
    mayBeComplete: true,
    bug: undefined,
  }
  const queue = new PQueue({ concurrency: PARALLEL_DOWNLOADS })
  try {
    while (await step(run, queue, repos, signal)) signal.throwIfAborted()
  } finally {
    await queue.onIdle()
  }
  if (run.bug !== undefined) throw run.bug
  return run.result
}

/** One turn: seal what is complete, start one job, or wait for one to end. False when nothing is left to do. */
async function step(
  run: Run,
  queue: PQueue,
  repos: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (run.mayBeComplete) {
    run.mayBeComplete = false
    for (const snapshot of await sealSnapshots(run.deps, signal)) {
      run.result.sealed.push({ repo: printRepo(snapshot.ref), commit: snapshot.commit })
    }
  }
  const mayStart = run.result.stoppedBy === undefined && run.bug === undefined && queue.pending < PARALLEL_DOWNLOADS
  const job = mayStart ? await leaseFitting(run, repos) : undefined
  if (job !== undefined) {
    run.running.set(job.key, job.size)
    void queue.add(() => runJob(run, job, signal))
    return true
  }
  if (queue.pending === 0) return run.mayBeComplete
  await nextChange(run, queue, mayStart, signal)
  return true
}

/**
 * The next job that disk and budget can take now: one that is too large lets others pass. When nothing runs and nothing
 * that is due fits, `stoppedBy` says why.
 */
async function leaseFitting(run: Run, repos: readonly number[] | undefined): Promise<Job | undefined> {
  const { deps, room, running } = run
  const options = {
    nowMs: deps.clock.now(),
    smallOnly: !mayLargeFilesMove(deps),
    ...(repos === undefined ? {} : { repos }),
  }
  // What was measured a moment ago may have changed for the better: nothing is refused before a new measurement.
  for (const isLast of [false, true]) {
    if (isLast) room.measuredAtMs = Number.NEGATIVE_INFINITY
    run.result.stoppedBy = await measureRoom(deps, room, running)
    if (run.result.stoppedBy !== undefined) return undefined
    const job = await deps.catalog.leaseJob({ ...options, ...limitsOf(room) })
    if (job === undefined) continue
    takeRoom(room, job)
    return job
  }
  if (running.size > 0) return undefined
  const tooLarge = await deps.catalog.leaseJob(options)
  if (tooLarge === undefined) return undefined
  await deps.catalog.releaseJob(tooLarge.jobId)
  run.result.stoppedBy = refusalOf(deps.settings, room, tooLarge.size)
  return undefined
}

/** Waits until a job ends; with a free slot also looks again soon, because another task may have planned new work. */
async function nextChange(run: Run, queue: PQueue, lookAgain: boolean, signal: AbortSignal): Promise<void> {
  const waiting = new AbortController()
  const ended = new Promise<false>((resolve) => {
    queue.addEventListener('next', () => resolve(false), { once: true, signal: waiting.signal })
  })
  const slept = run.deps.clock.sleep(LOOK_AGAIN_MS, AbortSignal.any([waiting.signal, signal])).then(
    () => true,
    () => false,
  )
  // Another task may have listed a snapshot whose files are all held.
  if (await (lookAgain ? Promise.race([ended, slept]) : ended)) run.mayBeComplete = true
  waiting.abort()
}

async function runJob(run: Run, job: Job, signal: AbortSignal): Promise<void> {
  const { deps, result } = run
  try {
    const { digests, source } = await downloadBlob(deps, job, sharedOf(run), signal)
    const attestedBy = await verifyBlob(deps, job, digests, signal)
    await raiseContradictions(deps, job, digests)
    const complete = await deps.catalog.completeJob(job.jobId, digests, attestedBy, nowIso(deps))
    if (complete.length > 0) run.mayBeComplete = true
    if (source === undefined) return
    result.fetchedFiles += 1
    result.fetchedBytes += job.size
    deps.progress.finished(source, job.size)
  } catch (error) {
    await settleFailure(run, job, error, signal).catch((bug: unknown) => {
      run.bug ??= bug instanceof Error ? bug : new Error(String(bug))
    })
  } finally {
    run.running.delete(job.key)
  }
}

function sharedOf(run: Run): SharedTransfer {
  const { deps } = run
  const rate = deps.settings.rateBytesPerSecond
  // A configuration that was read again may have another cap.
  if (run.rate !== rate) {
    run.rate = rate
    run.bucket = rate === undefined ? undefined : new TokenBucket(deps.clock, rate)
  }
  return {
    bucket: run.bucket,
    closed: run.closed,
    mayContinue: async (job) => (job.isSmall || mayLargeFilesMove(deps)) && !(await deps.catalog.isPaused()),
  }
}

/** LFS files were compared with the witnesses when they were listed; small files can only be compared now. */
async function raiseContradictions(deps: PipelineDeps, job: Job, digests: Digests): Promise<void> {
  if (!job.key.startsWith('git-')) return
  const events = job.sources.flatMap((file) => contradictionEvent(file, digests.sha256, deps.witness, nowIso(deps)))
  await raise(deps, events)
}

async function settleFailure(run: Run, job: Job, error: unknown, signal: AbortSignal): Promise<void> {
  const { deps, result } = run
  const code = errorCodeOf(error)
  if (signal.aborted || error instanceof HeldBack) {
    await deps.catalog.releaseJob(job.jobId)
    return
  }
  if (ERROR_CODES[code].exitCode === 9) {
    await deps.catalog.releaseJob(job.jobId)
    result.stoppedBy ??= asArchiveError(error)
    return
  }
  const source = job.sources[0]
  const message = error instanceof Error ? error.message : String(error)
  const repo = source === undefined ? '' : printRepo(source.ref)
  const path = source === undefined ? job.key : displayName(source.path)
  const attempts = job.attempts + 1
  const nextTryMs = deps.clock.now() + backOffMs(code, attempts, Math.random())
  // A closed repository is one piece of news, not one for each of its files.
  const news = run.closed.get(repo)?.refusal.code === code ? `${repo} ${code}` : job.key
  const isNews = !run.announced.has(news) && (attempts === 1 || code === 'DIGEST_MISMATCH')
  run.announced.add(news)
  const events = isNews ? [failureEvent(deps, job, code, message, error)] : []
  announce(deps, await deps.catalog.failJob(job.jobId, code, nextTryMs, events))
  if (!isKnownLoss(job, code)) result.failed.push({ repo, path, code, message })
  if (source !== undefined) deps.progress.failed(source, code, message)
  const fields = { component: 'jobs', repo, path, jobId: job.jobId, attempt: attempts, code, err: error }
  deps.log.warn(fields, 'download failed')
  if (code === 'INTERNAL') throw error
}

const LOSSES: readonly ErrorCode[] = ['REPO_GATED', 'REPO_DISABLED', 'REPO_UNAVAILABLE', 'SNAPSHOT_UNKNOWN']

/** A whole repository or commit that refused before, too, is no failure of each later pass. */
function isKnownLoss(job: Job, code: ErrorCode): boolean {
  return job.lastCode === code && LOSSES.includes(code)
}

function failureEvent(deps: PipelineDeps, job: Job, code: ErrorCode, message: string, error: unknown): ChangeEvent {
  const source = job.sources[0]
  const isDamaged = code === 'DIGEST_MISMATCH'
  return {
    type: isDamaged ? 'upstream-damaged' : 'download-failed',
    severity: 'warning',
    repo: source?.ref,
    at: nowIso(deps),
    before: null,
    after: code,
    detail: {
      path: source?.path,
      commit: source?.commit,
      message,
      ...(error instanceof ArchiveError ? error.details : {}),
    },
  }
}
