import type { CommitId } from '../domain/digest.ts'
import type { ArchiveError, ErrorCode } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { TokenBucket } from '../lib/token-bucket.ts'
import type { PipelineDeps } from './deps.ts'
import { unmeasuredRoom, type DiskRoom } from './disk-room.ts'
import { mayLargeFilesMove } from './schedule-jobs.ts'
import type { SharedTransfer } from './transfer-ranges.ts'
import type { Closure } from './try-sources.ts'

/** One file that failed in this run; a repository that refused all of its files is one failure without a path. */
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

/** What everything that works in one run shares. */
export interface JobRun {
  readonly deps: PipelineDeps
  /** Only jobs wanted by these repositories; undefined = all. */
  readonly repos: readonly number[] | undefined
  readonly signal: AbortSignal
  readonly result: RunResult
  /** Repositories that refused a file in this run, with their answer: the rest of their files need not be asked for. */
  readonly closed: Map<string, Closure>
  /** What is an event already in this run. */
  readonly announced: Set<string>
  readonly room: DiskRoom
  /** Whole sizes of what is downloaded now. */
  readonly running: Map<ContentKey, number>
  /** Jobs that brought bytes before they failed. */
  readonly progressed: Set<number>
  readonly changes: Wakeup
  /** The cap of this moment: a configuration that was read again may have another one. */
  readonly bucket: TokenBucket
  mayBeComplete: boolean
  bug: Error | undefined
}

export function newRun(deps: PipelineDeps, repos: readonly number[] | undefined, signal: AbortSignal): JobRun {
  return {
    deps,
    repos,
    signal,
    result: { fetchedFiles: 0, fetchedBytes: 0, sealed: [], failed: [], stoppedBy: undefined },
    closed: new Map(),
    announced: new Set(),
    room: unmeasuredRoom(),
    running: new Map(),
    progressed: new Set(),
    changes: new Wakeup(),
    bucket: new TokenBucket(deps.clock, () => deps.settings.rateBytesPerSecond),
    mayBeComplete: true,
    bug: undefined,
  }
}

/** Whether new jobs may be started at all. */
export function mayStart(run: JobRun): boolean {
  return run.result.stoppedBy === undefined && run.bug === undefined
}

/** What leases have in common. */
export function leaseBasics(run: JobRun): { nowMs: number; smallOnly: boolean; repos?: readonly number[] } {
  return {
    nowMs: run.deps.clock.now(),
    smallOnly: !mayLargeFilesMove(run.deps),
    ...(run.repos === undefined ? {} : { repos: run.repos }),
  }
}

export function sharedOf(run: JobRun): SharedTransfer {
  const { deps } = run
  return {
    bucket: run.bucket,
    onProgress: (job) => void run.progressed.add(job.jobId),
    mayContinue: async (job) => (job.isSmall || mayLargeFilesMove(deps)) && !(await deps.catalog.isPaused()),
  }
}

/** Lets one wait for the next change that many report. A change that nobody waited for is not lost. */
export class Wakeup {
  #isWoken = false
  #wake: (() => void) | undefined

  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Forgets changes that were reported before. */
  reset(): void {
    this.#isWoken = false
  }

  async wait(): Promise<void> {
    if (this.#isWoken) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await promise
    this.#wake = undefined
  }
}
