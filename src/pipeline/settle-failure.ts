import { backOffMs } from '../domain/back-off.ts'
import { ArchiveError, ERROR_CODES, errorCodeOf, type ErrorCode } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { displayName } from '../domain/file-name.ts'
import { isPurged, purgedEvent } from '../domain/purged-bytes.ts'
import { repoRefusal } from '../domain/repo-refusal.ts'
import { printRepo } from '../domain/repo.ts'
import type { Job } from '../work-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'
import { isFsyncFailure, isSecondFsyncFailure } from './disk-pause.ts'
import { asArchiveError } from './disk-room.ts'
import { mayPass } from './fill-ranges.ts'
import type { JobFailure, JobRun } from './job-run.ts'
import { isToldAsPurged } from './probe-bytes.ts'
import { askedPauseMs, HeldBack } from './transfer-ranges.ts'

/** No server makes us wait longer for a file than we do by ourselves. */
const LONGEST_ASKED_MS = 6 * 60 * 60_000

/**
 * What becomes of a job that failed: it is given back when nothing is wrong with it, it stops the run when the disk
 * refuses, and waits for its next try otherwise. Never throws: a bug ends the run.
 */
export async function settleFailure(run: JobRun, job: Job, error: unknown): Promise<void> {
  await endOnBug(run, () => settle(run, job, error))
}

/** Gives back jobs that were not begun, as if they had not been leased. Never throws: a bug ends the run. */
export async function giveBack(run: JobRun, jobs: readonly Job[]): Promise<void> {
  await endOnBug(run, () => run.deps.catalog.releaseJobs(jobs.map((job) => job.jobId)))
}

async function endOnBug(run: JobRun, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (bug) {
    run.bug ??= bug instanceof Error ? bug : new Error(String(bug))
  }
}

async function settle(run: JobRun, job: Job, error: unknown): Promise<void> {
  const { deps } = run
  const code = errorCodeOf(error)
  if (run.signal.aborted || error instanceof HeldBack) {
    await deps.catalog.releaseJobs([job.jobId])
    return
  }
  // The one file is dead and fetched again into a new one; a second within the hour is the disk's fault.
  const isOfFile = isFsyncFailure(error) && !isSecondFsyncFailure(deps)
  if (ERROR_CODES[code].exitCode === 9 && !isOfFile) {
    await deps.catalog.releaseJobs([job.jobId])
    run.result.stoppedBy ??= asArchiveError(error)
    return
  }
  await letWait(run, job, error)
  if (code === 'INTERNAL') throw error
}

/** The job waits for its next try. What is news about it is told. */
async function letWait(run: JobRun, job: Job, error: unknown): Promise<void> {
  const { deps } = run
  const code = errorCodeOf(error)
  const source = job.sources[0]
  const repo = source === undefined ? '' : printRepo(source.ref)
  const path = source === undefined ? job.key : displayName(source.path)
  // A long download over a line that fails now and then is not kept waiting longer each time.
  const isForgiven = run.progressed.has(job.jobId) && mayPass(error)
  const attempts = isForgiven ? 1 : job.attempts + 1
  const pauseMs = Math.max(backOffMs(code, attempts, Math.random()), Math.min(askedPauseMs(error), LONGEST_ASKED_MS))
  // A closed repository is one piece of news, not one for each of its files.
  const refusal = run.closed.get(repo)?.refusal.code === code ? repoRefusal(code) : undefined
  const news = refusal === undefined ? job.key : `${repo} ${code}`
  // Wrong bytes were told when their source was demoted.
  const isNews = !run.announced.has(news) && job.attempts === 0 && code !== 'DIGEST_MISMATCH'
  run.announced.add(news)
  const events = await failureEvents(deps, job, error, { isNews, refusal })
  announce(
    deps,
    await deps.catalog.failJob(job.jobId, { code, attempts, nextTryMs: deps.clock.now() + pauseMs }, events),
  )
  if (refusal === undefined) reportFile(run, job, { repo, path, code, message: messageOf(error) })
  else reportRefusal(run, job, { repo, path: '', code, message: refusal })
  const fields = { component: 'jobs', repo, path, jobId: job.jobId, attempt: attempts, code, err: error }
  deps.log.warn(fields, 'download failed')
}

const LOSSES: readonly ErrorCode[] = ['REPO_GATED', 'REPO_DISABLED', 'REPO_UNAVAILABLE', 'SNAPSHOT_UNKNOWN']

/** A whole repository or commit that refused before, too, is no failure of each later pass. */
function isKnownLoss(job: Job, code: ErrorCode): boolean {
  return job.lastCode === code && LOSSES.includes(code)
}

function reportFile({ deps, result }: JobRun, job: Job, failure: JobFailure): void {
  const [source] = job.sources
  if (!isKnownLoss(job, failure.code)) result.failed.push(failure)
  if (source !== undefined) deps.progress.failed(source, failure.code, failure.message)
}

/** Many files report the same refusal of their repository. */
function reportRefusal({ deps, result }: JobRun, job: Job, failure: JobFailure): void {
  const [source] = job.sources
  const { repo, code } = failure
  const isTold = result.failed.some((told) => told.path === '' && told.repo === repo && told.code === code)
  if (!isTold && !isKnownLoss(job, code)) result.failed.push(failure)
  if (source !== undefined) deps.progress.refused(source)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

interface News {
  readonly isNews: boolean
  /** The sentence about a repository that refuses all of its files; undefined for the failure of one file. */
  readonly refusal: string | undefined
}

async function failureEvents(deps: PipelineDeps, job: Job, error: unknown, news: News): Promise<ChangeEvent[]> {
  return (await purgedEvents(deps, job, error)) ?? (news.isNews ? [failureEvent(deps, job, error, news.refusal)] : [])
}

/** undefined: its bytes are not gone. */
async function purgedEvents(deps: PipelineDeps, job: Job, error: unknown): Promise<ChangeEvent[] | undefined> {
  const [source] = job.sources
  if (source === undefined || !(error instanceof ArchiveError) || !isPurged(error.code, error.details)) return undefined
  if (await isToldAsPurged(deps, source.ref, job.key)) return []
  return [purgedEvent(source, job, { at: nowIso(deps), details: error.details })]
}

function failureEvent(deps: PipelineDeps, job: Job, error: unknown, refusal: string | undefined): ChangeEvent {
  const source = job.sources[0]
  return {
    type: 'download-failed',
    severity: 'warning',
    repo: source?.ref,
    at: nowIso(deps),
    before: null,
    after: errorCodeOf(error),
    detail: {
      ...(refusal === undefined ? { path: source?.path } : {}),
      commit: source?.commit,
      message: refusal ?? messageOf(error),
      ...(error instanceof ArchiveError ? error.details : {}),
    },
  }
}
