import { access, constants } from 'node:fs/promises'
import type { Catalog } from './catalog-port.ts'
import type { AlertChannel } from './alert-port.ts'
import type { Clock } from './clock-port.ts'
import { settingsOf, type Config } from './config/config.ts'
import { acquireArchiveLock, readArchiveWriter } from './db/archive-lock.ts'
import { openCatalog } from './db/open-catalog.ts'
import { ArchiveError, type ErrorCode } from './domain/errors.ts'
import type { HubSource } from './hub-port.ts'
import type { HubSourceOptions } from './hub/hub-source.ts'
import { systemClock } from './lib/clock.ts'
import { diskError } from './lib/fs-durable.ts'
import { HashPool } from './lib/hash-files.ts'
import { localSocketPath, requestLocally } from './lib/local-socket.ts'
import { programVersion } from './lib/program-version.ts'
import type { Log } from './log-port.ts'
import { openChannels, type ChannelSurroundings } from './notify/open-channels.ts'
import type { OpenedArchive } from './opened-archive.ts'
import type { ServiceLink } from './service-port.ts'
import { createBlobStore } from './store/blob-store.ts'
import { Layout } from './store/layout.ts'
import { initArchive as initArchiveFolder, openArchiveFolder } from './store/marker.ts'
import { createRecordStore } from './store/record-store.ts'
import { LICENSE_FINGERPRINTS_FILE, readLicenseBook } from './store/license-book.ts'
import { readWitnessBook, WITNESS_FILE } from './store/witness-book.ts'

/** How an archive is opened. */
export interface OpenOptions {
  /** `auto` writes unless another process does; then it only reads. */
  readonly mode: 'read' | 'write' | 'auto'
  readonly log: Log
  readonly signal: AbortSignal
  /** Told when a request waits for the Hub's quota or its recovery. */
  readonly onWaiting?: (reason: string, untilMs: number | undefined) => void
  /** Default: the system's. */
  readonly clock?: Clock
  /** Of the Hub's client; default: its own. */
  readonly deadlines?: HubSourceOptions['deadlines']
  /** Never opens a connection: the Hub's client is not even loaded, and no service is asked. */
  readonly withoutNetwork?: boolean
}

/**
 * Builds every adapter of an archive and closes them in reverse. Writing makes the folder when there is none, takes the
 * archive's lock, and gives back what a process that died had leased.
 * @throws ArchiveError ARCHIVE_LOCKED, ARCHIVE_MISSING_MARKER, ARCHIVE_FORMAT_UNKNOWN, CATALOG_UNUSABLE, DISK_*
 */
export async function openArchive(config: Config, options: OpenOptions): Promise<OpenedArchive> {
  const { log, signal, clock = systemClock } = options
  const root = config.archive
  await using stack = new AsyncDisposableStack()
  const mayWrite = options.mode !== 'read'
  const marker = await openArchiveFolder(root, { create: mayWrite, log })
  const { catalog, writable, refusal } = await openForWork(stack, root, marker.archiveId, options)
  const records = createRecordStore({ root })
  const channels = channelsOf(config, clock)
  if (writable) {
    await catalog.releaseAllLeases()
    await catalog.continueEventsAfter(await records.lastEventSeq())
    // Before anything is logged: from here on a channel is owed every event.
    const keys = channels.map(({ key }) => key)
    if (keys.length > 0) await catalog.outbox.openChannels(keys, clock.now())
  }
  const hashPool = stack.use(new HashPool())
  const hubOptions: HubSourceOptions = {
    endpoint: config.hub.endpoint,
    token: config.hub.token?.reveal(),
    proxy: proxyOf(config),
    userAgent: `weightvault/${await programVersion()} (node ${process.versions.node})`,
    clock,
    log,
    ...(options.onWaiting === undefined ? {} : { onWaiting: options.onWaiting }),
    ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
  }
  const hub = await hubFor(options, hubOptions)
  stack.defer(() => hub.close())
  const socketPath = localSocketPath(root, marker.archiveId)
  const isAlone = writable || options.withoutNetwork === true
  const service = isAlone ? undefined : await findService(socketPath, signal)
  const witness = await readWitnessBook(WITNESS_FILE)
  let book: ReturnType<typeof readLicenseBook> | undefined
  const licenseBook = () => (book ??= readLicenseBook(LICENSE_FINGERPRINTS_FILE))
  const closing = stack.move()
  return {
    root,
    settings: settingsOf(config),
    catalog,
    blobs: createBlobStore({
      root,
      archiveId: marker.archiveId,
      hashPool,
      log,
      sequential: config.download.sequential,
    }),
    records,
    hub,
    channels,
    witness,
    licenseBook,
    clock,
    log,
    writable,
    ...(refusal === undefined ? {} : { refusal }),
    service,
    writer: () => readArchiveWriter(root),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The alert channels of a configuration. */
export function channelsOf(config: Config, clock: Clock = systemClock): readonly AlertChannel[] {
  const { smtp } = config
  const surroundings: ChannelSurroundings = {
    clock,
    proxy: proxyOf(config),
    smtp: smtp === undefined ? undefined : { ...smtp, password: smtp.password?.reveal() },
  }
  const options = config.notify.map(({ channel, url, secret, ...rest }) => ({
    ...rest,
    kind: channel,
    address: url.reveal(),
    secret: secret?.reveal(),
  }))
  return openChannels(options, surroundings)
}

/** Makes and marks the archive folder, which may exist already if it is empty. */
export async function initArchive(config: Config, log: Log): Promise<void> {
  await initArchiveFolder(config.archive, log)
}

async function hubFor({ mode, withoutNetwork }: OpenOptions, hubOptions: HubSourceOptions): Promise<HubSource> {
  if (withoutNetwork === true) return noHub(hubOptions.endpoint)
  return mode === 'read' ? hubWhenAsked(hubOptions) : createHub(hubOptions)
}

/** For commands that must work without a network: asking it is a bug. */
function noHub(endpoint: string): HubSource {
  const refuse = (): Promise<never> => Promise.reject(new Error('this command never asks a hub'))
  return {
    endpoint,
    hasToken: false,
    listOwner: refuse,
    askRepo: refuse,
    readCommits: refuse,
    readRefs: refuse,
    readTree: refuse,
    resolveFile: refuse,
    openRange: refuse,
    fetchSmall: refuse,
    close: () => Promise.resolve(),
  }
}

async function createHub(options: HubSourceOptions): Promise<HubSource> {
  const { createHubSource } = await import('./hub/hub-source.ts')
  return createHubSource(options)
}

/** Most commands that only read never ask the Hub, and loading its HTTP client is half of their start. */
function hubWhenAsked(options: HubSourceOptions): HubSource {
  let created: Promise<HubSource> | undefined
  const hub = (): Promise<HubSource> => (created ??= createHub(options))
  return {
    endpoint: options.endpoint,
    hasToken: options.token !== undefined && options.token !== '',
    listOwner: async (...question) => (await hub()).listOwner(...question),
    askRepo: async (...question) => (await hub()).askRepo(...question),
    readCommits: async (...question) => (await hub()).readCommits(...question),
    readRefs: async (...question) => (await hub()).readRefs(...question),
    readTree: async (...question) => (await hub()).readTree(...question),
    resolveFile: async (...question) => (await hub()).resolveFile(...question),
    openRange: async (...question) => (await hub()).openRange(...question),
    fetchSmall: async (...question) => (await hub()).fetchSmall(...question),
    close: async () => (await created?.catch(() => undefined))?.close(),
  }
}

const MAY_STILL_BE_READ: readonly ErrorCode[] = ['ARCHIVE_LOCKED', 'ARCHIVE_READ_ONLY', 'DISK_FULL', 'DISK_FAILED']

/** Takes the lock and opens the catalog. `auto` reads where it cannot write: another process does, or the disk refuses. */
async function openForWork(
  stack: AsyncDisposableStack,
  root: string,
  archiveId: string,
  { mode, log }: OpenOptions,
): Promise<{ catalog: Catalog; writable: boolean; refusal?: ArchiveError }> {
  const path = new Layout(root).catalog
  let refusal: ArchiveError | undefined
  if (mode !== 'read') {
    try {
      await using writing = new AsyncDisposableStack()
      await assertWritable(root)
      writing.use(await acquireArchiveLock(root))
      const catalog = writing.use(await openCatalog({ path, archiveId, mode: 'write', log }))
      stack.use(writing.move())
      return { catalog, writable: true }
    } catch (error) {
      if (mode === 'write' || !(error instanceof ArchiveError) || !MAY_STILL_BE_READ.includes(error.code)) throw error
      refusal = error
    }
  }
  const catalog = stack.use(
    await openCatalog({ path, archiveId, mode: 'read', log }).catch((error: unknown) => {
      // On a full disk a new catalog cannot be made: that it is missing is not what is wrong.
      throw refusal?.code === 'DISK_FULL' ? refusal : error
    }),
  )
  return { catalog, writable: false, ...(refusal === undefined ? {} : { refusal }) }
}

/** Before SQLite finds out: of a read-only disk it only says that it cannot open its file. */
async function assertWritable(root: string): Promise<void> {
  try {
    await access(root, constants.W_OK)
  } catch (error) {
    throw diskError(error, root)
  }
}

function proxyOf(config: Config): { http?: string; https?: string; no?: string } | undefined {
  const { http, https, noProxy } = config.proxy
  if (http === undefined && https === undefined) return undefined
  return {
    ...(http === undefined ? {} : { http: http.reveal() }),
    ...(https === undefined ? {} : { https: https.reveal() }),
    ...(noProxy === undefined ? {} : { no: noProxy }),
  }
}

async function findService(socketPath: string, signal: AbortSignal): Promise<ServiceLink | undefined> {
  const answer = await requestLocally(socketPath, 'status', {}).catch(() => undefined)
  signal.throwIfAborted()
  if (answer === undefined) return undefined
  return {
    request: async (operation, parameters) => {
      const reply = await requestLocally(socketPath, operation, parameters).catch((error: unknown) => {
        throw new ArchiveError('SERVICE_UNAVAILABLE', `the service refused ${operation}: ${(error as Error).message}`, {
          cause: error,
          hint: 'nothing changed; `weightvault status` shows whether the service runs',
        })
      })
      if (reply !== undefined) return reply.result
      throw new ArchiveError('SERVICE_UNAVAILABLE', 'the service stopped while it was asked', {
        hint: 'start it again, or repeat the command: without a service it works on the archive directly',
      })
    },
  }
}
