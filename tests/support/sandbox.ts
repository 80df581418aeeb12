import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoggedEvent } from '../../src/domain/events.ts'
import type { SimHub } from './sim-hub/types.ts'
import { HANGS_AFTER_MS, until } from './until.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))
/** Compiled code of the program, shared by all calls of this test file. */
const CACHES = mkdtempSync(join(tmpdir(), 'weightvault-cache-'))
process.on('exit', () => rmSync(CACHES, { recursive: true, force: true }))

/** How a call of the program ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Every field a document of the program may have; a test reads those of the command it called. */
export interface Printed {
  readonly repos: readonly { repo: string; state: string; upstream: string; filesHeld: number; filesListed: number }[]
  readonly files: readonly { path: string; held: boolean; reason: string; sha256: string | null; size: number }[]
  readonly events: (Omit<LoggedEvent, 'repo'> & { readonly repo: string | null })[]
  readonly sealed: readonly { repo: string; commit: string }[]
  readonly failed: readonly { repo: string; path: string; code: string; message: string }[]
  readonly fetchedFiles: number
  readonly fetchedBytes: number
  readonly newEvents: number
  readonly stoppedBy: string | undefined
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null }
}

export interface StartOptions {
  /** Added to an environment that holds nothing of the user's own. */
  readonly env?: NodeJS.ProcessEnv
  readonly deadlineMs?: number
}

/** The program while it runs. */
export class RunningProgram {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], cwd: string, options: StartOptions) {
    this.child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: cwd, XDG_CACHE_HOME: CACHES, TZ: 'UTC', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.ended = this.#wait(args, options.deadlineMs ?? HANGS_AFTER_MS)
    this.ended.catch(() => undefined)
  }

  /** Everything printed so far. */
  get output(): string {
    return this.#stdout + this.#stderr
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async whenPrinted(pattern: RegExp): Promise<void> {
    await until(`${String(pattern)} printed`, () => {
      if (pattern.test(this.output)) return true
      if (this.child.exitCode === null && this.child.signalCode === null) return false
      throw new Error(`ended without printing ${String(pattern)}:\n${this.output}`)
    })
  }

  #wait(args: readonly string[], deadlineMs: number): Promise<Ended> {
    const { promise, resolve, reject } = Promise.withResolvers<Ended>()
    const late = setTimeout(() => {
      this.child.kill('SIGKILL')
      reject(new Error(`${args.join(' ')} did not end within ${deadlineMs} ms:\n${this.output}`))
    }, deadlineMs)
    this.child.on('error', reject)
    this.child.on('close', (code, signal) => {
      clearTimeout(late)
      resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
    })
    return promise
  }
}

/** A folder of its own with a configuration, in which the real program runs as a process against a simulated Hub. */
export class Sandbox implements AsyncDisposable {
  readonly folder: string
  readonly root: string
  readonly configFile: string
  readonly #running = new Set<RunningProgram>()

  private constructor(folder: string) {
    this.folder = folder
    this.root = join(folder, 'archive')
    this.configFile = join(folder, 'weightvault.yaml')
  }

  /**
   * @param yaml as in `configText`
   * @param parent folder in which it is made
   */
  static async make(hub: Pick<SimHub, 'url'>, yaml = WATCH_QWEN, parent = tmpdir()): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(parent, 'weightvault-e2e-')))
    await sandbox.configure(configText(hub, yaml))
    return sandbox
  }

  async configure(text: string): Promise<void> {
    await writeFile(this.configFile, text)
  }

  start(args: readonly string[], options: StartOptions = {}): RunningProgram {
    const program = new RunningProgram(args, this.folder, options)
    this.#running.add(program)
    void program.ended.finally(() => this.#running.delete(program)).catch(() => undefined)
    return program
  }

  run(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
    return this.start(args, options).ended
  }

  /** Runs a command with --json and reads its document, whatever its exit code. */
  async json(args: readonly string[], options: StartOptions = {}): Promise<{ code: number | null; data: Printed }> {
    const { code, stdout, stderr } = await this.run([...args, '--json'], options)
    try {
      return { code, data: JSON.parse(stdout) as Printed }
    } catch (cause) {
      throw new Error(`${args.join(' ')} (exit ${code}) printed no JSON:\n${stdout}\n${stderr}`, { cause })
    }
  }

  async events(): Promise<Printed['events']> {
    return (await this.json(['events', '--since', '0', '--limit', '100000'])).data.events
  }

  /** Text of a file of the archive. */
  read(...path: string[]): Promise<string> {
    return readFile(join(this.root, ...path), 'utf8')
  }

  /** Waits until an unfinished download has so many bytes on disk. Its size says little: they come in any order. */
  async whenPartialHas(bytes: number): Promise<void> {
    const folder = join(this.root, 'partial')
    await until(`${bytes} bytes in a partial file`, async () => {
      const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.pieces'))
      const journals = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')))
      return journals.some((text) => arrivedBytes(text) >= bytes)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#running) program.kill('SIGKILL')
    await Promise.allSettled([...this.#running].map((program) => program.ended))
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** What a journal of pieces says: a line each, with index, length and checksum; the last one of an index holds. */
function arrivedBytes(journal: string): number {
  const lengths = new Map(
    [...journal.matchAll(/^(\d+) (\d+) [0-9a-f]{8}\n/gm)].map(([, index, length]) => [index, length]),
  )
  return [...lengths.values()].reduce((sum, length) => sum + Number(length), 0)
}

export const WATCH_QWEN = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`

/** A whole configuration: nothing is served, losses are believed after three misses, and the rest is as given. */
export function configText(hub: Pick<SimHub, 'url'>, yaml = WATCH_QWEN): string {
  return `archive: ./archive
serve: { dashboard: off, mirror: off }
hub: { endpoint: "${hub.url}", confirm_loss: { misses: 3, over: 0s } }
${yaml}`
}
