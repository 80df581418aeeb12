import { ArchiveError, ERROR_CODES, errorCodeOf } from '../domain/errors.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { claimingWatch, keyByHand, printWatch, type WatchEntry } from '../domain/watch.ts'
import { ViewKeeper } from '../maintenance/update-views.ts'
import type { OpenedArchive, PassResult } from '../opened-archive.ts'
import type { Progress } from '../progress-port.ts'
import type { PipelineDeps } from './deps.ts'
import { DiskPause, isRefusalOfDisk } from './disk-pause.ts'
import { followRefs } from './follow-refs.ts'
import {
  applyPolicyChanges,
  DEFAULT_KEEP,
  exportEvents,
  planHeads,
  raisePlanFailures,
  type PlanFailure,
} from './plan-snapshots.ts'
import { readLicenses, recordOlderLicenses } from './read-licenses.ts'
import { continueRescues, startEndangered } from './rescue-repos.ts'
import { removeOrphans } from './remove-orphans.ts'
import { runJobs, type JobFailure, type RunResult } from './run-jobs.ts'
import { isScheduleStale, mayLargeFilesMove, scheduleJobs, type Held } from './schedule-jobs.ts'
import { SEALING_BLOCKS } from './seal-snapshot.ts'
import { pollWatch } from './watch-hub.ts'

/** What a pass is asked to do. */
export interface PassOptions {
  /** Only these repositories; empty = everything watched. One that no watch covers is archived with the default keep. */
  readonly repos: readonly RepoRef[]
  /** Poll and list only; download nothing. */
  readonly checkOnly: boolean
}

/**
 * One full pass: poll every watch, list new heads, apply changed policies, download what is due, seal, journal. A watch
 * that fails does not keep the others from their pass.
 * @throws ArchiveError REPO_UNKNOWN for a named repository the Hub does not show; DISK_* and ARCHIVE_* when nothing can
 *   be written
 */
export async function runPass(
  archive: OpenedArchive,
  options: PassOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<PassResult> {
  const deps: PipelineDeps = bindProgress(archive, progress)
  const seqBefore = (await deps.catalog.totals()).lastSeq
  const watches = watchesFor(deps, options.repos)
  await deps.catalog.unblockSnapshots(SEALING_BLOCKS)
  const polled = await pollAll(deps, watches, options.repos.length > 0, signal)
  const planned = await planAll(deps, watches, signal)
  await startEndangered(deps)
  if (polled.reached.length > 0) await continueRescues(deps, signal)
  await deps.catalog.makeDue()
  const held = await scheduleJobs(deps, undefined)
  const repoIds = options.repos.length === 0 ? undefined : await idsOf(deps, watches)
  const run: RunResult | undefined = options.checkOnly ? undefined : await runAll(deps, repoIds, signal)
  await recordOlderLicenses(deps, signal)
  if (!options.checkOnly) await new ViewKeeper().keep(deps, signal)
  await readLicenses(deps, signal)
  if (!options.checkOnly) for (const watch of polled.reached) await followRefs(deps, watch, signal)
  // What the downloads met is in front at the next pass.
  await startEndangered(deps)
  await exportEvents(deps, signal)
  const totals = await deps.catalog.totals()
  return {
    polled: polled.count,
    newEvents: totals.lastSeq - seqBefore,
    fetchedFiles: run?.fetchedFiles ?? 0,
    fetchedBytes: run?.fetchedBytes ?? 0,
    sealed: run?.sealed ?? [],
    failed: [...polled.failures, ...planned.failures, ...(run?.failed ?? [])],
    stoppedBy: stopReason(run, held, await deps.catalog.isPaused(), leftForWindow(deps, totals.jobsReady)),
    changes: changesOf(polled, planned),
  }
}

/** A repository with a new head is both changed in the poll and listed after it: it counts once. */
function changesOf(polled: { changed: number }, planned: { listed: number }): number {
  return Math.max(polled.changed, planned.listed)
}

/** Polls every watch that is due and lists new heads; downloads nothing. Returns how many heads were new or moved. */
export async function refreshPlan(
  archive: OpenedArchive,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ changes: number }> {
  const deps: PipelineDeps = bindProgress(archive, progress)
  const states = new Map((await deps.catalog.watchStates()).map((state) => [state.watch, state]))
  const due = deps.settings.watches.filter((watch) => {
    const last = states.get(watch.key)?.lastOkAt
    return last === undefined || deps.clock.now() - Date.parse(last) >= watch.everyMs
  })
  const polled = await pollAll(deps, due, false, signal)
  const planned = await planAll(deps, due, signal)
  await scheduleJobs(deps, undefined)
  await exportEvents(deps, signal)
  const [failure] = [...polled.failures, ...planned.failures]
  if (failure !== undefined && polled.count === 0) {
    throw new ArchiveError(failure.code, failure.message, { hint: 'use --offline to plan from the last poll' })
  }
  return { changes: changesOf(polled, planned) }
}

/** Decides anew what is wanted and what fits, from what is known: after an edit of the configuration a plan is stale. */
export async function replan(archive: OpenedArchive, progress: Progress, signal: AbortSignal): Promise<void> {
  const deps: PipelineDeps = bindProgress(archive, progress)
  const redecided = await applyPolicyChanges(deps, signal)
  if (redecided > 0 || (await isScheduleStale(deps))) await scheduleJobs(deps, undefined)
}

/** The archive with a watcher, for pipeline functions. */
export function bindProgress(archive: OpenedArchive, progress: Progress): PipelineDeps {
  return { ...archive, progress }
}

/** The watch entries of a pass: all, or one for each named repository. */
function watchesFor(deps: PipelineDeps, repos: readonly RepoRef[]): readonly WatchEntry[] {
  if (repos.length === 0) return deps.settings.watches
  return repos.map((ref) => {
    const entry = claimingWatch(deps.settings.watches, ref)
    if (entry?.target.kind === 'repo') return entry
    return { key: keyByHand(ref), target: { kind: 'repo', ref }, everyMs: 0, keep: entry?.keep ?? DEFAULT_KEEP }
  })
}

interface Polled {
  /** Keys of the watches whose poll succeeded. */
  readonly reached: readonly string[]
  readonly count: number
  readonly changed: number
  readonly failures: readonly JobFailure[]
}

async function pollAll(
  deps: PipelineDeps,
  watches: readonly WatchEntry[],
  areNamed: boolean,
  signal: AbortSignal,
): Promise<Polled> {
  const failures: JobFailure[] = []
  const reached: string[] = []
  let changed = 0
  for (const watch of watches) {
    try {
      if (areNamed) await mustBeKnown(deps, watch, signal)
      changed += (await pollWatch(deps, watch, signal)).changed
      reached.push(watch.key)
    } catch (error) {
      signal.throwIfAborted()
      if (!isOfTheHub(error)) throw error
      const code = errorCodeOf(error)
      if (areNamed && code === 'REPO_UNAVAILABLE' && !(await isArchived(deps, watch))) throw unknownRepo(watch, error)
      const message = error instanceof Error ? error.message : String(error)
      failures.push({ repo: printWatch(watch.key), path: '', code, message })
      deps.log.warn({ component: 'watch', watch: watch.key, code, err: error }, 'watch not polled')
    }
  }
  return { reached, count: reached.length, changed, failures }
}

/** A name that was misspelt by hand leaves no trace: the Hub is asked before anything of a poll is recorded. */
async function mustBeKnown(deps: PipelineDeps, watch: WatchEntry, signal: AbortSignal): Promise<void> {
  if (watch.target.kind !== 'repo' || (await isArchived(deps, watch))) return
  const answer = await deps.hub.askRepo(watch.target.ref, signal)
  if (answer.kind === 'missing') throw unknownRepo(watch, undefined)
}

async function isArchived(deps: PipelineDeps, { target }: WatchEntry): Promise<boolean> {
  return target.kind === 'repo' && (await deps.catalog.repoByName(target.ref)) !== undefined
}

function unknownRepo(watch: WatchEntry, cause: unknown): ArchiveError {
  return new ArchiveError('REPO_UNKNOWN', `the Hub does not show ${watch.key.slice(watch.key.indexOf(':') + 1)}`, {
    cause,
    hint: 'check the spelling; if it is private or gated, set HF_TOKEN to a token that may read it',
  })
}

/** Failures of upstream are noted and passed over; a full disk, a bug or a wrong token end the pass. */
function isOfTheHub(error: unknown): boolean {
  return error instanceof ArchiveError && ERROR_CODES[error.code].exitCode === 8
}

async function planAll(
  deps: PipelineDeps,
  watches: readonly WatchEntry[],
  signal: AbortSignal,
): Promise<{ listed: number; failures: readonly JobFailure[] }> {
  let listed = 0
  const failures: PlanFailure[] = []
  for (const watch of watches) {
    const planned = await planHeads(deps, watch.key, signal)
    listed += planned.listed
    failures.push(...planned.failures)
  }
  await applyPolicyChanges(deps, signal)
  await raisePlanFailures(deps, failures)
  return { listed, failures: failures.map(({ repo, ...rest }) => ({ ...rest, repo: printRepo(repo), path: '' })) }
}

/** Runs jobs again after each change of what is allowed, so that space freed by finished work is used. */
async function runAll(
  deps: PipelineDeps,
  repos: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<RunResult> {
  const totals = await deps.catalog.totals()
  deps.progress.total(totals.jobsReady, totals.bytesQueued)
  await removeOrphans(deps, signal)
  const result = await runJobs(deps, repos, signal)
  const { stoppedBy } = result
  if (stoppedBy !== undefined && isRefusalOfDisk(stoppedBy)) await new DiskPause().refused('jobs', deps, stoppedBy)
  return result
}

/** By watch and not by name: a repository that was named by an old name has another one now. */
async function idsOf(deps: PipelineDeps, watches: readonly WatchEntry[]): Promise<readonly number[]> {
  const ids: number[] = []
  for (const watch of watches) {
    for (const repo of await deps.catalog.reposOfWatch(watch.key)) ids.push(repo.repoId)
  }
  return ids
}

/** Whether large files wait for their hours: all else that may move has moved by the end of a pass. */
function leftForWindow(deps: PipelineDeps, jobsReady: number): boolean {
  return jobsReady > 0 && !mayLargeFilesMove(deps)
}

function stopReason(
  run: RunResult | undefined,
  held: Held,
  isPaused: boolean,
  isWindowClosed: boolean,
): PassResult['stoppedBy'] {
  if (isPaused) return 'paused'
  const code = run?.stoppedBy?.code
  if (run?.stoppedBy !== undefined && code !== 'BUDGET_REACHED' && code !== 'DISK_FULL') throw run.stoppedBy
  if (code === 'DISK_FULL' || held.byReserve > 0) return 'reserve'
  if (code === 'BUDGET_REACHED' || held.byBudget > 0) return 'budget'
  return isWindowClosed ? 'window' : undefined
}
