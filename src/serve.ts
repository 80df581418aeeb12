import type { Clock } from './clock-port.ts'
import { openArchive } from './compose.ts'
import type { Config } from './config/config.ts'
import { startDashboard, type WriteFeed } from './dashboard/start-dashboard.ts'
import type { RepoRef } from './domain/repo.ts'
import type { HttpService } from './lib/http-service.ts'
import type { Log } from './log-port.ts'
import type { FetchFile } from './mirror/missing-files.ts'
import { startMirror } from './mirror/start-mirror.ts'
import type { OpenedArchive } from './opened-archive.ts'

/** What listens, until it is disposed. */
export interface Servers extends AsyncDisposable {
  /** Undefined where the configuration says off. */
  readonly mirror: HttpService | undefined
  readonly dashboard: HttpService | undefined
}

/** What dashboard and mirror may ask of a service that runs; where none does they only read. */
export interface AskService {
  /** Takes what webhooks of the Hub say. */
  readonly hint: (ref: RepoRef) => void
  /** Has a file fetched and sealed. */
  readonly fetchFile: FetchFile
}

/**
 * Starts what `serve` of the configuration asks for.
 * @throws ArchiveError ADDRESS_UNUSABLE; then nothing listens
 */
export async function startServers(
  config: Config,
  archive: OpenedArchive,
  service: AskService | undefined,
  signal: AbortSignal,
): Promise<Servers> {
  const { serve } = config
  const token = serve.token?.reveal()
  await using stack = new AsyncDisposableStack()
  const shared = { archive, token, names: serve.hosts, log: archive.log, signal }
  const fetchFile = serve.pullThrough ? service?.fetchFile : undefined
  const mirror = serve.mirror && stack.use(await startMirror({ ...shared, ...serve.mirror, fetchFile }))
  const webhooks = { webhookSecret: config.hub.webhookSecret?.reveal(), hint: service?.hint }
  const dashboard =
    serve.dashboard && stack.use(await startDashboard({ ...shared, ...serve.dashboard, ...webhooks, writeFeed }))
  const closing = stack.move()
  return { mirror, dashboard, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

/** Loaded when somebody reads a feed. */
const writeFeed: WriteFeed = async (...feed) => (await import('./notify/feed.ts')).writeFeed(...feed)

export interface ServeInput {
  readonly config: Config
  readonly log: Log
  /** Told once everything listens, with the addresses. */
  readonly onListening: (servers: Servers) => void
  readonly clock?: Clock
}

/**
 * Dashboard and mirror of an archive that is opened for reading only, beside a running service or without one, until
 * `stopping` aborts.
 * @throws ArchiveError ADDRESS_UNUSABLE, ARCHIVE_MISSING_MARKER, …
 */
export async function runServers(input: ServeInput, stopping: AbortSignal): Promise<void> {
  const { config, log, clock } = input
  await using archive = await openArchive(config, {
    mode: 'read',
    withoutNetwork: true,
    log,
    signal: stopping,
    ...(clock === undefined ? {} : { clock }),
  })
  await using servers = await startServers(config, archive, undefined, stopping)
  input.onListening(servers)
  if (stopping.aborted) return
  await new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve(), { once: true }))
}
