import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OutputClosed } from '../../src/cli/printer.ts'
import { runCli, type CliEffects, type Stream } from '../../src/cli/run-cli.ts'
import { channelsOf, initArchive, openArchive } from '../../src/compose.ts'
import { runService } from '../../src/daemon.ts'
import { runServers } from '../../src/serve.ts'
import { ArchiveError } from '../../src/domain/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

/** What one call printed, and its exit code. */
export interface Called {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface CallOptions {
  readonly env?: Record<string, string>
  /** Terminal width of stdout and stderr; undefined = pipes. */
  readonly terminal?: number
  readonly signal?: AbortSignal
  /** Replaces single effects. */
  readonly effects?: Partial<CliEffects>
}

/** A temporary folder with a configuration, and the command line run in it in this process, with the real adapters. */
export class CliFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** @param yaml the configuration; `HUB` stands for the address of the hub; undefined = no file */
  static async make(yaml?: string, hub?: Pick<SimHub, 'url'>): Promise<CliFolder> {
    const folder = new CliFolder(await mkdtemp(join(tmpdir(), 'weightvault-cli-')))
    if (yaml !== undefined) await folder.configure(yaml, hub)
    return folder
  }

  /** Watches Qwen at a simulated Hub. */
  static watching(hub: Pick<SimHub, 'url'>, more = ''): Promise<CliFolder> {
    return CliFolder.make(`${BASE}${more === '' ? DEFAULT_WATCH : more}`, hub)
  }

  async configure(yaml: string, hub?: Pick<SimHub, 'url'>): Promise<void> {
    await writeFile(join(this.path, 'weightvault.yaml'), yaml.replaceAll('HUB', hub?.url ?? 'http://127.0.0.1:9'))
  }

  /** Runs one call. */
  async call(words: readonly string[], options: CallOptions = {}): Promise<Called> {
    const out: string[] = []
    const err: string[] = []
    const effects: CliEffects = {
      stdout: streamInto(out, options.terminal),
      stderr: streamInto(err, options.terminal),
      env: { ...options.env },
      cwd: this.path,
      homeDir: this.path,
      version: '1.2.3',
      clock: systemClock,
      signal: options.signal ?? new AbortController().signal,
      openArchive,
      openChannels: (config) => Promise.resolve(channelsOf(config)),
      initArchive,
      runService,
      runServers,
      ...options.effects,
    }
    const code = await runCli(words, effects)
    return { code, out: out.join(''), err: err.join('') }
  }

  /** The JSON document of a call that must work. */
  async json<Data = Record<string, unknown>>(...words: string[]): Promise<Data> {
    const called = await this.call([...words, '--json'])
    return JSON.parse(called.out) as Data
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

const BASE = `archive: ./archive
serve: { dashboard: off, mirror: off }
hub: { endpoint: "HUB", confirm_loss: { misses: 3, over: 0s } }
`
const DEFAULT_WATCH = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1h }
`

function streamInto(pieces: string[], columns: number | undefined): Stream {
  return {
    isTTY: columns !== undefined,
    columns: () => columns,
    write: (text) => {
      pieces.push(text)
      return Promise.resolve()
    },
  }
}

/** Opens the real archive, but no Hub answers: at once, without the pauses between real tries. */
export function withoutHub(): Pick<CliEffects, 'openArchive'> {
  const fail = (): Promise<never> => Promise.reject(new ArchiveError('HUB_UNREACHABLE', 'no connection (ECONNREFUSED)'))
  return {
    openArchive: async (config, options) => {
      const archive = await openArchive(config, options)
      return { ...archive, hub: { ...archive.hub, listOwner: fail, askRepo: fail } }
    },
  }
}

/** A pipe whose reader goes away after so many writes. */
export function closingStream(pieces: string[], writes: number): Stream {
  return {
    isTTY: false,
    columns: () => undefined,
    write: (text) => {
      if (pieces.length >= writes) return Promise.reject(new OutputClosed('closed'))
      pieces.push(text)
      return Promise.resolve()
    },
  }
}
