import { stat } from 'node:fs/promises'
import type { AlertChannel } from './alert-port.ts'
import { channelsOf, openArchive } from './compose.ts'
import { settingsOf } from './config/config.ts'
import { loadConfig, type LoadConfigInput, type LoadedConfig } from './config/load-config.ts'
import { ArchiveError, ERROR_CODES, errorCodeOf } from './domain/errors.ts'
import { parseRepoArgument } from './domain/repo.ts'
import type { Settings } from './domain/settings.ts'
import type { WatchEntry } from './domain/watch.ts'
import { localSocketPath, serveLocally } from './lib/local-socket.ts'
import { Activity } from './pipeline/activity.ts'
import { runAlertLoop } from './pipeline/alert-loop.ts'
import type { PipelineDeps } from './pipeline/deps.ts'
import { applyPolicyChanges, exportEvents, planHeads, raisePlanFailures } from './pipeline/plan-snapshots.ts'
import { readLicenses } from './pipeline/read-licenses.ts'
import { runJobs } from './pipeline/run-jobs.ts'
import { scheduleJobs, type Held } from './pipeline/schedule-jobs.ts'
import { SEALING_BLOCKS } from './pipeline/seal-snapshot.ts'
import { pollWatch } from './pipeline/watch-hub.ts'
import type { Clock, Log, Progress } from './ports.ts'

/** Longest time between two looks at the configuration file, the disk and the queue. */
const TICK_MS = 5000
/** How soon a watch that failed is polled again; doubles up to its own `every`. */
const FIRST_RETRY_MS = 15_000
/** How soon work goes on after the disk refused it; doubles up to the longest pause. */
const FIRST_DISK_PAUSE_MS = 5000
const LONGEST_DISK_PAUSE_MS = 60_000
const CHECKPOINT_EVERY_MS = 5 * 60_000

/** What the service runs with. */
export interface ServiceInput {
  readonly loaded: LoadedConfig
  /** How the configuration was found, to read it again when its file changes. */
  readonly source: LoadConfigInput
  readonly log: Log
  readonly progress: Progress
  /** Default: the system's. */
  readonly clock?: Clock
}

/** Replaced when the configuration file changes; `deps` always shows the present ones. */
interface Live {
  settings: Settings
  channels: readonly AlertChannel[]
}

interface Service {
  readonly deps: PipelineDeps
  readonly live: Live
  readonly log: Log
  /** Watch key → when it is polled next and how often it failed in a row. */
  readonly due: Map<string, { atMs: number; failures: number }>
  held: Held | undefined
}

/**
 * Runs until `stopping` aborts: polls each watch when it is due, lists and schedules, downloads, answers local commands.
 * Then running downloads stop where they are (their bytes are kept), and the catalog is checkpointed and closed.
 * @throws ArchiveError ARCHIVE_LOCKED, ARCHIVE_MISSING_MARKER, … when the archive cannot be opened for writing
 */
export async function runService(input: ServiceInput, stopping: AbortSignal): Promise<void> {
  const archive = await openArchive(input.loaded.config, {
    mode: 'write',
    log: input.log,
    signal: stopping,
    onWaiting: (reason, untilMs) => input.progress.waiting(reason, untilMs),
    ...(input.clock === undefined ? {} : { clock: input.clock }),
  })
  await using opened = archive
  const activity = new Activity(input.progress, opened.clock)
  const live: Live = { settings: opened.settings, channels: opened.channels }
  const service: Service = {
    deps: withLiveSettings({ ...opened, progress: activity }, live),
    live,
    log: input.log,
    due: new Map(),
    held: undefined,
  }
  const socketPath = localSocketPath(opened.root, opened.catalog.archiveId)
  await using _socket = await serveLocally(socketPath, (operation, parameters) =>
    answerCommand(service, activity, operation, parameters),
  )
  input.log.info({ component: 'service', archive: opened.root, pid: process.pid }, 'service started')
  const stop = new AbortController()
  const signal = AbortSignal.any([stopping, stop.signal])
  const isReady = applyPolicies(service, signal)
  const loops = [
    isReady.then(() => watchLoop(service, signal)),
    isReady.then(() => jobLoop(service, signal)),
    isReady.then(() => keepingLoop(service, input, signal)),
    runAlertLoop(service.deps, signal),
  ]
  try {
    await Promise.race(loops)
  } catch (error) {
    if (!stopping.aborted) throw error
  } finally {
    stop.abort()
    await Promise.allSettled(loops)
    await checkpoint(service)
    input.log.info({ component: 'service' }, 'service stopped')
  }
}

/** Work that is under way for days must not go on by a configuration that was replaced. */
function withLiveSettings(deps: PipelineDeps, live: Readonly<Live>): PipelineDeps {
  return Object.defineProperties(
    { ...deps },
    {
      settings: { get: () => live.settings, enumerable: true },
      channels: { get: () => live.channels, enumerable: true },
    },
  )
}

/** Polls whichever watch is due, one at a time, and lists what is new. */
async function watchLoop(service: Service, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const { deps } = service
    const nowMs = deps.clock.now()
    const watch = await nextDue(service, nowMs)
    if (watch === 'refused') {
      await deps.clock.sleep(TICK_MS, signal)
      continue
    }
    if (watch === undefined) {
      await deps.clock.sleep(Math.min(TICK_MS, waitMs(service, nowMs)), signal)
      continue
    }
    await pollAndPlan(service, watch, signal)
  }
}

/** The watch that is due longest; `refused` when the disk does not let us ask the catalog. */
async function nextDue(service: Service, nowMs: number): Promise<WatchEntry | 'refused' | undefined> {
  try {
    return await longestDue(service, nowMs)
  } catch (error) {
    if (ERROR_CODES[errorCodeOf(error)].exitCode !== 9) throw error
    service.log.warn({ component: 'watch', code: errorCodeOf(error), err: error }, 'catalog not readable')
    return 'refused'
  }
}

async function longestDue(service: Service, nowMs: number): Promise<WatchEntry | undefined> {
  let next: WatchEntry | undefined
  let nextAt = Number.POSITIVE_INFINITY
  for (const watch of service.deps.settings.watches) {
    const state = service.due.get(watch.key) ?? (await firstDue(service, watch))
    // A clock that was set back must not put a poll off for the length of the jump.
    state.atMs = Math.min(state.atMs, nowMs + Math.max(watch.everyMs, FIRST_RETRY_MS))
    service.due.set(watch.key, state)
    if (state.atMs <= nowMs && state.atMs < nextAt) {
      next = watch
      nextAt = state.atMs
    }
  }
  return next
}

/** After a start a watch waits for the rest of its period, so that restarts do not hammer the Hub. */
async function firstDue(service: Service, watch: WatchEntry): Promise<{ atMs: number; failures: number }> {
  const state = await service.deps.catalog.watchState(watch.key)
  const last = state?.lastErrorCode === undefined ? state?.lastOkAt : undefined
  const now = service.deps.clock.now()
  return {
    atMs: last === undefined ? now : Math.min(Date.parse(last) + watch.everyMs, now + watch.everyMs),
    failures: 0,
  }
}

function waitMs(service: Service, nowMs: number): number {
  const times = service.deps.settings.watches.map((watch) => service.due.get(watch.key)?.atMs ?? nowMs)
  return Math.max(10, Math.min(...times) - nowMs)
}

async function pollAndPlan(service: Service, watch: WatchEntry, signal: AbortSignal): Promise<void> {
  const { deps, log } = service
  const failures = service.due.get(watch.key)?.failures ?? 0
  try {
    await pollWatch(deps, watch, signal)
    const planned = await planHeads(deps, watch.key, signal)
    await raisePlanFailures(deps, planned.failures)
    const retryMs = planned.failures.length > 0 ? Math.min(FIRST_RETRY_MS * 4, watch.everyMs) : watch.everyMs
    service.due.set(watch.key, { atMs: deps.clock.now() + retryMs, failures: 0 })
    service.held = await scheduleJobs(deps, service.held)
  } catch (error) {
    signal.throwIfAborted()
    const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), Math.max(watch.everyMs, FIRST_RETRY_MS))
    service.due.set(watch.key, { atMs: deps.clock.now() + pauseMs, failures: failures + 1 })
    const code = errorCodeOf(error)
    log.warn({ component: 'watch', watch: watch.key, code, retryMs: pauseMs, err: error }, 'poll failed')
    if (code === 'HUB_UNREACHABLE' && failures === 0) {
      deps.progress.waiting(
        `the Hub at ${deps.hub.endpoint} is unreachable; trying again by itself. What is archived stays usable. ` +
          '`npm run demo` (in a checkout) shows weightvault without a network',
        deps.clock.now() + pauseMs,
      )
    }
    if (ERROR_CODES[code].exitCode === 9) deps.progress.waiting(messageOf(error), deps.clock.now() + pauseMs)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Downloads whatever may move; pauses by itself when the disk refuses, and goes on by itself. */
async function jobLoop(service: Service, signal: AbortSignal): Promise<void> {
  for (let refusals = 0; ;) {
    signal.throwIfAborted()
    const { deps } = service
    const stopped = await runUntilRefused(deps, refusals > 0, signal)
    if (stopped === undefined) {
      refusals = 0
      await deps.clock.sleep(TICK_MS / 5, signal)
      continue
    }
    const pauseMs = Math.min(FIRST_DISK_PAUSE_MS * 2 ** Math.min(refusals, 10), LONGEST_DISK_PAUSE_MS)
    refusals += 1
    service.log.warn({ component: 'jobs', code: stopped.code, err: stopped }, 'downloads paused')
    deps.progress.waiting(stopped.message, deps.clock.now() + pauseMs)
    await deps.clock.sleep(pauseMs, signal)
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
): Promise<ArchiveError | undefined> {
  try {
    if (wasRefused) await deps.catalog.releaseAllLeases()
    return (await runJobs(deps, undefined, signal)).stoppedBy
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError) || ERROR_CODES[error.code].exitCode !== 9) throw error
    return error
  }
}

/** Journal, schedule, checkpoint, and the configuration file when it changes. */
async function keepingLoop(service: Service, input: ServiceInput, signal: AbortSignal): Promise<void> {
  let configAt = await modifiedAt(input.loaded.file)
  let checkpointAt = service.deps.clock.now() + CHECKPOINT_EVERY_MS
  let lastCode: string | undefined
  for (;;) {
    try {
      await readLicenses(service.deps, signal)
      await exportEvents(service.deps, signal)
      service.held = await scheduleJobs(service.deps, service.held)
      lastCode = undefined
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArchiveError)) throw error
      // Once for each trouble: this comes round every few seconds.
      if (error.code !== lastCode)
        service.log.warn({ component: 'service', code: error.code, err: error }, 'housekeeping failed')
      lastCode = error.code
    }
    const changedAt = await modifiedAt(input.loaded.file)
    if (changedAt !== configAt) {
      configAt = changedAt
      await reload(service, input, signal)
    }
    if (service.deps.clock.now() >= checkpointAt) {
      await checkpoint(service)
      checkpointAt = service.deps.clock.now() + CHECKPOINT_EVERY_MS
    }
    await service.deps.clock.sleep(TICK_MS, signal)
  }
}

/** Saves time at the next start and nothing else: a disk that takes no writes is no reason to end. */
async function checkpoint({ deps, log }: Service): Promise<void> {
  try {
    await deps.catalog.checkpoint()
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
    log.warn({ component: 'service', code: error.code, err: error }, 'catalog not checkpointed')
  }
}

async function modifiedAt(file: string | undefined): Promise<number | undefined> {
  if (file === undefined) return undefined
  try {
    return (await stat(file)).mtimeMs
  } catch {
    return undefined
  }
}

/** The policy may have changed while no service ran. */
async function applyPolicies(service: Service, signal: AbortSignal): Promise<void> {
  try {
    await service.deps.catalog.unblockSnapshots(SEALING_BLOCKS)
    const redecided = await applyPolicyChanges(service.deps, signal)
    if (redecided > 0) service.log.info({ component: 'service', redecided }, 'changed policy applied')
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError)) throw error
    service.log.error({ component: 'service', code: error.code, err: error }, 'changed policy not applied')
  }
}

/** A configuration that is wrong is reported, and the old one stays in force. */
async function reload(service: Service, input: ServiceInput, signal: AbortSignal): Promise<void> {
  try {
    const loaded = await loadConfig(input.source, signal)
    service.live.settings = settingsOf(loaded.config)
    await useChannels(service, channelsOf(loaded.config, service.deps.clock))
    const redecided = await applyPolicyChanges(service.deps, signal)
    service.log.info({ component: 'service', redecided }, 'configuration read again; hub and archive need a restart')
  } catch (error) {
    signal.throwIfAborted()
    service.log.error(
      { component: 'service', code: errorCodeOf(error), err: error },
      'configuration not usable; the old one stays',
    )
  }
}

/** A channel that is new is owed every event from now on. */
async function useChannels({ deps, live }: Service, channels: readonly AlertChannel[]): Promise<void> {
  const keys = channels.map(({ key }) => key)
  if (keys.length > 0) await deps.catalog.outbox.openChannels(keys, deps.clock.now())
  live.channels = channels
}

async function answerCommand(
  service: Service,
  activity: Activity,
  operation: string,
  parameters: Record<string, unknown>,
): Promise<unknown> {
  const { catalog } = service.deps
  switch (operation) {
    case 'status':
      return { pid: process.pid, ...activity.report() }
    case 'queue.pause':
      return catalog.setPaused(true)
    case 'queue.resume':
      return catalog.setPaused(false)
    case 'queue.bump': {
      const repo = parseRepoArgument(String(parameters['repo']))
      const row = repo === undefined ? undefined : await catalog.repoByName(repo.ref)
      if (row === undefined) throw new Error(`${String(parameters['repo'])} is not in the archive`)
      const moved = await catalog.bump(row.repoId)
      service.held = await scheduleJobs(service.deps, service.held)
      return { moved }
    }
    default:
      throw new Error(`unknown operation ${operation}`)
  }
}
