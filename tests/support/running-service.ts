import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/clock-port.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { runService } from '../../src/daemon.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { configText, WATCH_QWEN } from './sandbox.ts'
import type { SimHub } from './sim-hub/types.ts'
import { RecordedProgress } from './test-vault.ts'
import { until } from './until.ts'

/** An hour that passes in no time is 60 polls then, not 3,600. */
export const EVERY_MINUTE = WATCH_QWEN.replace('every: 1s', 'every: 1m')

/** The real service in this process, with a clock of the test's. */
export class RunningService implements AsyncDisposable {
  readonly folder: string
  readonly root: string
  readonly progress = new RecordedProgress()
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>
  #failure: unknown

  private constructor(folder: string, start: (service: RunningService, stopping: AbortSignal) => Promise<void>) {
    this.folder = folder
    this.root = join(folder, 'archive')
    this.#ended = start(this, this.#stop.signal).catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** @param at an existing folder for the configuration and the archive; it stays then */
  static async start(
    hub: Pick<SimHub, 'url'>,
    clock: Clock,
    yaml = EVERY_MINUTE,
    at?: string,
  ): Promise<RunningService> {
    const folder = at ?? (await mkdtemp(join(tmpdir(), 'weightvault-service-')))
    const file = join(folder, 'weightvault.yaml')
    await writeFile(file, configText(hub, yaml))
    const source = { flags: { config: file }, env: {}, cwd: folder, homeDir: folder }
    const loaded = await loadConfig(source, new AbortController().signal)
    const log = createLogger({ level: 'silent' })
    return new RunningService(folder, async (service, stopping) => {
      const { progress } = service
      await runService({ loaded, source, log, progress, clock }, stopping)
      if (at === undefined) await rm(folder, { recursive: true, force: true })
    })
  }

  get events(): readonly LoggedEvent[] {
    return this.progress.seen
  }

  /** Waits for so many events of a type; a service that has ended meanwhile fails the test. */
  async whenSeen(type: LoggedEvent['type'], count = 1): Promise<void> {
    await this.when(`${count} ${type}`, () => this.events.filter((event) => event.type === type).length >= count)
  }

  async when(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(what, async () => {
      if (this.#failure !== undefined) throw new Error('the service ended', { cause: this.#failure })
      return condition()
    })
  }

  /** Asks it to stop and waits until it has. @throws what ended it */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    if (this.#failure !== undefined) throw new Error('the service failed', { cause: this.#failure })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }
}
