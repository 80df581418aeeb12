import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/clock-port.ts'
import { openArchive } from '../../src/compose.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import type { Deadlines } from '../../src/hub/hub-source.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { runPass } from '../../src/pipeline/run-pass.ts'
import type { RepoRef } from '../../src/domain/repo.ts'
import type { OpenedArchive, PassResult } from '../../src/opened-archive.ts'
import type { Progress } from '../../src/progress-port.ts'
import type { SimHub } from './sim-hub/types.ts'

const never = new AbortController().signal

/** Keeps what long work reported. */
export class RecordedProgress implements Progress {
  readonly seen: LoggedEvent[] = []
  readonly startedPaths: string[] = []
  readonly resumedAt: number[] = []
  readonly waitingFor: string[] = []
  polled(): void {}
  listed(): void {}
  total(): void {}
  started(file: { path: string }, _size: number, resumedAt: number): void {
    this.startedPaths.push(file.path)
    this.resumedAt.push(resumedAt)
  }
  moved(): void {}
  ended(): void {}
  finished(): void {}
  failed(): void {}
  refused(): void {}
  sealed(): void {}
  events(events: readonly LoggedEvent[]): void {
    this.seen.push(...events)
  }
  verified(): void {}
  waiting(reason: string): void {
    this.waitingFor.push(reason)
  }
}

/** A real archive in a temporary folder, opened for writing against a simulated Hub. */
export class TestVault implements AsyncDisposable {
  readonly folder: string
  readonly root: string
  archive: OpenedArchive
  readonly progress = new RecordedProgress()
  /** Of the Hub's client, from the next opening on. */
  deadlines: Partial<Deadlines> | undefined

  readonly #clock: Clock

  private constructor(folder: string, archive: OpenedArchive, deadlines: Partial<Deadlines> | undefined) {
    this.folder = folder
    this.#clock = archive.clock
    this.deadlines = deadlines
    this.root = archive.root
    this.archive = archive
  }

  /**
   * @param yaml the rest of the configuration; default watches Qwen with room to spare
   * @param clock default: the system's
   * @param deadlines of the Hub's client, in real time whatever the clock; default: its own
   */
  static async open(
    hub: Pick<SimHub, 'url'>,
    yaml = DEFAULT_YAML,
    clock: Clock = systemClock,
    deadlines?: Partial<Deadlines>,
  ): Promise<TestVault> {
    const folder = await mkdtemp(join(tmpdir(), 'weightvault-test-'))
    await writeConfig(folder, hub, yaml)
    return new TestVault(folder, await openAt(folder, clock, deadlines), deadlines)
  }

  /** Closes and opens again, as a new process would; `yaml` changes the configuration. */
  async reopen(hub?: Pick<SimHub, 'url'>, yaml = DEFAULT_YAML): Promise<void> {
    await this.archive[Symbol.asyncDispose]()
    await this.openAgain(hub, yaml)
  }

  /** Opens after `archive` was closed by hand. */
  async openAgain(hub?: Pick<SimHub, 'url'>, yaml = DEFAULT_YAML): Promise<void> {
    if (hub !== undefined) await writeConfig(this.folder, hub, yaml)
    this.archive = await openAt(this.folder, this.#clock, this.deadlines)
  }

  sync(options: { repos?: readonly RepoRef[]; checkOnly?: boolean; signal?: AbortSignal } = {}): Promise<PassResult> {
    const { repos = [], checkOnly = false, signal = never } = options
    return runPass(this.archive, { repos, checkOnly }, this.progress, signal)
  }

  /** All events so far, oldest first. */
  events(): Promise<LoggedEvent[]> {
    return this.archive.catalog.events({ since: 0, limit: 100_000 })
  }

  /** Events of one type, oldest first. */
  async eventsOf(type: string): Promise<LoggedEvent[]> {
    return (await this.events()).filter((event) => event.type === type)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.archive[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export const DEFAULT_YAML = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`

async function writeConfig(folder: string, hub: Pick<SimHub, 'url'>, yaml: string): Promise<void> {
  const hubPart =
    yaml.includes('\nhub:') || yaml.startsWith('hub:')
      ? ''
      : `hub: { endpoint: "${hub.url}", confirm_loss: { misses: 3, over: 0s } }\n`
  const text = `archive: ./archive\nserve: { dashboard: off, mirror: off }\n${hubPart}${yaml.replaceAll('HUB', hub.url)}`
  await writeFile(join(folder, 'weightvault.yaml'), text)
}

/** Opens the archive of a folder with a configuration for writing. */
export async function openAt(folder: string, clock: Clock, deadlines: Partial<Deadlines> = {}): Promise<OpenedArchive> {
  const loaded = await loadConfig(
    { flags: { config: join(folder, 'weightvault.yaml') }, env: {}, cwd: folder, homeDir: folder },
    never,
  )
  const log = createLogger({ level: 'silent' })
  return openArchive(loaded.config, { mode: 'write', log, signal: never, clock, deadlines })
}
