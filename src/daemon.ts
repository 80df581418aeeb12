import { stat } from 'node:fs/promises'
import type { AlertChannel } from './alert-port.ts'
import type { Clock } from './clock-port.ts'
import { channelsOf, openArchive } from './compose.ts'
import { settingsOf } from './config/config.ts'
import { loadConfig, type LoadConfigInput, type LoadedConfig } from './config/load-config.ts'
import { ArchiveError, errorCodeOf } from './domain/errors.ts'
import type { Settings } from './domain/settings.ts'
import { localSocketPath, serveLocally } from './lib/local-socket.ts'
import type { Log } from './log-port.ts'
import { ViewKeeper } from './maintenance/update-views.ts'
import type { OpenedArchive } from './opened-archive.ts'
import { Activity } from './pipeline/activity.ts'
import { runAlertLoop } from './pipeline/alert-loop.ts'
import { answerCommand } from './pipeline/answer-command.ts'
import type { PipelineDeps } from './pipeline/deps.ts'
import { DiskPause } from './pipeline/disk-pause.ts'
import { runJobLoop } from './pipeline/job-loop.ts'
import { applyPolicyChanges, exportEvents } from './pipeline/plan-snapshots.ts'
import { readLicenses, recordOlderLicenses } from './pipeline/read-licenses.ts'
import { continueRescues } from './pipeline/rescue-repos.ts'
import { scheduleJobs, type Held } from './pipeline/schedule-jobs.ts'
import { takeFile } from './pipeline/take-file.ts'
import { SEALING_BLOCKS } from './pipeline/seal-snapshot.ts'
import { WatchLoop } from './pipeline/watch-loop.ts'
import type { Progress } from './progress-port.ts'
import { startServers, type AskService, type Servers } from './serve.ts'

/** Longest time between two looks at the configuration file, the disk and the queue. */
const TICK_MS = 5000
const CHECKPOINT_EVERY_MS = 5 * 60_000

/** What the service runs with. */
export interface ServiceInput {
  readonly loaded: LoadedConfig
  /** How the configuration was found, to read it again when its file changes. */
  readonly source: LoadConfigInput
  readonly log: Log
  readonly progress: Progress
  /** Told once everything listens, with the addresses. */
  readonly onListening?: (servers: Servers) => void
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
  held: Held | undefined
  /** A person asked for a rescue since the last poll. */
  isRescueAsked: boolean
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
    held: undefined,
    isRescueAsked: false,
  }
  const pause = new DiskPause()
  const reschedule = async (): Promise<void> => {
    service.held = await scheduleJobs(service.deps, service.held)
  }
  const watches = new WatchLoop(service.deps, reschedule, pause)
  const socketPath = localSocketPath(opened.root, opened.catalog.archiveId)
  const commanded = {
    deps: service.deps,
    activity,
    pid: process.pid,
    reschedule,
    noteRescue: () => {
      service.isRescueAsked = true
    },
  }
  await using _socket = await serveLocally(socketPath, (operation, parameters) =>
    answerCommand(commanded, operation, parameters),
  )
  const stop = new AbortController()
  const signal = AbortSignal.any([stopping, stop.signal])
  const asked: AskService = {
    hint: (ref) => watches.hint(ref),
    fetchFile: (wanted, until) => takeFile(service.deps, wanted, reschedule, until),
  }
  await using servers = await startServers(input.loaded.config, withLiveSettings(opened, live), asked, signal)
  input.onListening?.(servers)
  input.log.info({ component: 'service', archive: opened.root, pid: process.pid }, 'service started')
  const isReady = applyPolicies(service, signal)
  const loops = [
    isReady.then(() => watches.run(signal)),
    isReady.then(() => runJobLoop(service.deps, pause, signal)),
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
function withLiveSettings<Deps extends OpenedArchive | PipelineDeps>(deps: Deps, live: Readonly<Live>): Deps {
  return Object.defineProperties(
    { ...deps },
    {
      settings: { get: () => live.settings, enumerable: true },
      channels: { get: () => live.channels, enumerable: true },
    },
  )
}

/** Journal, schedule, checkpoint, and the configuration file when it changes. */
async function keepingLoop(service: Service, input: ServiceInput, signal: AbortSignal): Promise<void> {
  let configAt = await modifiedAt(input.loaded.file)
  let checkpointAt = service.deps.clock.now() + CHECKPOINT_EVERY_MS
  let lastCode: string | undefined
  const views = new ViewKeeper()
  for (;;) {
    try {
      await readLicenses(service.deps, signal)
      await exportEvents(service.deps, signal)
      await views.keep(service.deps, signal)
      if (service.isRescueAsked) await continueRescues(service.deps, signal)
      service.isRescueAsked = false
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
    await recordOlderLicenses(service.deps, signal)
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
    service.log.info(
      { component: 'service', redecided },
      'configuration read again; hub, archive and serve need a restart',
    )
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
