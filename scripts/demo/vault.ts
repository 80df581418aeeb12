import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))
const ASK_EVERY_MS = 300
/** The service promises to stop within ten seconds. */
const STOP_WITHIN_MS = 15_000

interface EventRow {
  readonly seq: number
  readonly type: string
  readonly severity: string
}

/** The real program in a folder of its own: the service as one process, commands beside it as others. */
export class Vault implements AsyncDisposable {
  readonly #folder: string
  readonly #service: ChildProcess

  private constructor(folder: string, service: ChildProcess) {
    this.#folder = folder
    this.#service = service
  }

  /** Starts the service; `onLine` gets each line it prints. */
  static async start(folder: string, onLine: (line: string) => void): Promise<Vault> {
    const service = spawn(process.execPath, [PROGRAM, 'run', '--config', join(folder, 'weightvault.yaml')], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [service.stdout, service.stderr]) {
      createInterface({ input: stream }).on('line', onLine)
    }
    await once(service, 'spawn')
    return new Vault(folder, service)
  }

  /** Runs one command and returns what it printed; its exit code is not judged. */
  async run(args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [PROGRAM, ...args, '--config', join(this.#folder, 'weightvault.yaml')], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    await once(child, 'close')
    return text.trimEnd()
  }

  async lastSeq(): Promise<number> {
    return (await this.#events(0)).at(-1)?.seq ?? 0
  }

  /** A sentence naming the events once all `types` appeared after `since`; undefined when they do not in time. */
  async waitForEvents(since: number, types: readonly string[], deadlineMs: number): Promise<string | undefined> {
    const endMs = Date.now() + deadlineMs
    while (Date.now() < endMs) {
      const events = await this.#events(since)
      const found = types.map((type) => events.find((event) => event.type === type))
      if (found.every((event) => event !== undefined)) {
        return found.map((event) => `#${event.seq} ${event.type} (${event.severity})`).join(', ')
      }
      await pause(ASK_EVERY_MS)
    }
    return undefined
  }

  /** Waits until something is sealed and no download is left. */
  async waitUntilIdle(deadlineMs: number): Promise<void> {
    const endMs = Date.now() + deadlineMs
    while (Date.now() < endMs) {
      const listed = JSON.parse(await this.run(['list', '--json', '--log-level', 'silent'])) as {
        repos?: { state: string }[]
      }
      const repos = listed.repos ?? []
      if (repos.length > 0 && repos.every((repo) => repo.state === 'sealed')) return
      await pause(ASK_EVERY_MS)
    }
    throw new Error('the archive did not become complete in time')
  }

  async stop(): Promise<void> {
    if (this.#service.exitCode !== null || this.#service.signalCode !== null) return
    const closed = once(this.#service, 'close')
    this.#service.kill('SIGTERM')
    const late = new AbortController()
    await Promise.race([closed, pause(STOP_WITHIN_MS, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    if (this.#service.exitCode === null) this.#service.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #events(since: number): Promise<EventRow[]> {
    const text = await this.run(['events', '--json', '--since', String(since), '--log-level', 'silent'])
    const events = (JSON.parse(text) as { events?: EventRow[] }).events
    return events ?? []
  }
}

/** No variable of the user's own set-up may steer the demo to a real Hub or lend it a token. */
function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TERM: process.env['TERM'],
    COLUMNS: '110',
    FORCE_COLOR: '1',
  }
}
