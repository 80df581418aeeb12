import { inspect } from 'node:util'
import type { Clock } from '../clock-port.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import type { Config } from '../config/config.ts'
import { loadConfig, type LoadConfigInput } from '../config/load-config.ts'
import { createLogger, prettyStream, type LogLevel } from '../lib/logger.ts'
import type { AlertChannel } from '../alert-port.ts'
import type { Log } from '../log-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { Progress } from '../progress-port.ts'
import { loadCommands } from './commands.ts'
import type { Command, CommandContext, ListeningServers, OpenArchiveOptions, Screen } from './command.ts'
import { chooseProgress } from './choose-progress.ts'
import { createPalette } from './palette.ts'
import { errorJson, errorText, harmless, OutputClosed, printOutcome, reportOf, type Output } from './printer.ts'
import type { ProgressView } from './progress-view.ts'
import { parseCall, type GlobalFlags } from './program.ts'

/** A terminal, a file or a pipe that takes our output. */
export interface Stream extends Output {
  readonly isTTY: boolean
  /** undefined where it is no terminal. */
  columns(): number | undefined
}

/** Everything outside of this folder that the command line reaches. */
export interface CliEffects {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly homeDir: string
  readonly version: string
  readonly clock: Clock
  /** Aborts at the first signal; its reason is an ArchiveError INTERRUPTED. */
  readonly signal: AbortSignal
  openArchive(config: Config, options: OpenRequest): Promise<OpenedArchive>
  openChannels(config: Config): Promise<readonly AlertChannel[]>
  initArchive(config: Config, log: Log): Promise<void>
  runService(input: ServiceRequest, stopping: AbortSignal): Promise<void>
  runServers(input: ServersRequest, stopping: AbortSignal): Promise<void>
}

interface OpenRequest extends OpenArchiveOptions {
  readonly mode: 'read' | 'write' | 'auto'
  readonly log: Log
  readonly signal: AbortSignal
  readonly onWaiting: (reason: string, untilMs: number | undefined) => void
}

interface ServiceRequest {
  readonly loaded: LoadedConfig
  readonly source: LoadConfigInput
  readonly log: Log
  readonly progress: Progress
  readonly onListening: (servers: ListeningServers) => void
}

interface ServersRequest {
  readonly config: Config
  readonly log: Log
  readonly onListening: (servers: ListeningServers) => void
}

/** Runs one call, prints what it found, and gives the exit code. Never throws for what a user can do. */
export async function runCli(words: readonly string[], effects: CliEffects): Promise<number> {
  let asJson = words.includes('--json')
  let flags: GlobalFlags | undefined
  let hasOutput = false
  const output: Output = {
    write: (text) => {
      hasOutput = true
      return effects.stdout.write(text)
    },
  }
  try {
    const commands = await loadCommands(words)
    const call = await parseCall(words, commands, effects.version, columnsOf(effects.stdout, effects.env))
    if (call.kind === 'text') {
      await effects.stdout.write(call.text)
      return 0
    }
    flags = call.flags
    asJson = flags.json
    await using session = new Session(effects, flags, call.command)
    try {
      const outcome = await call.command.run(session.context(), call.input)
      session.closeProgress()
      await printOutcome(outcome, output, screenOf(effects, flags), asJson)
      return outcome.exitCode
    } finally {
      session.closeProgress()
    }
  } catch (error) {
    if (error instanceof OutputClosed) return 0
    // One JSON document at most: an error after half of one goes to stderr.
    const errorOutput = asJson && !hasOutput ? effects.stdout : effects.stderr
    return await printError(error, effects, { flags, asJson, output: errorOutput })
  }
}

async function printError(
  error: unknown,
  effects: CliEffects,
  to: { flags: GlobalFlags | undefined; asJson: boolean; output: Output },
): Promise<number> {
  const { flags, asJson, output } = to
  const report = reportOf(effects.signal.aborted && isAbort(error) ? effects.signal.reason : error)
  try {
    if (flags?.logLevel === 'debug') await effects.stderr.write(`${harmless(inspect(error, { depth: 4 }))}\n`)
    if (asJson) await output.write(errorJson(report))
    else await output.write(errorText(report, createPalette(isColorful(effects.stderr, effects, flags))))
  } catch (closed) {
    if (!(closed instanceof OutputClosed)) throw closed
  }
  return report.exitCode
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}

function screenOf(effects: CliEffects, flags: GlobalFlags): Screen {
  return {
    columns: columnsOf(effects.stdout, effects.env) ?? Infinity,
    palette: createPalette(isColorful(effects.stdout, effects, flags)),
    nowMs: effects.clock.now(),
  }
}

/** The terminal's own width; COLUMNS for a pipe whose reader asks for one. */
function columnsOf(stream: Stream, env: CliEffects['env']): number | undefined {
  const own = stream.columns()
  if (own !== undefined && own > 0) return own
  const asked = Number(env['COLUMNS'])
  return Number.isInteger(asked) && asked > 0 ? Math.max(20, asked) : undefined
}

function isColorful(stream: Stream, effects: CliEffects, flags: GlobalFlags | undefined): boolean {
  if (!stream.isTTY || flags?.color === false) return false
  return (effects.env['NO_COLOR'] ?? '') === '' && effects.env['TERM'] !== 'dumb'
}

/** What one call opens, and closes at its end. */
class Session implements AsyncDisposable {
  readonly #effects: CliEffects
  readonly #flags: GlobalFlags
  readonly #command: Command
  readonly #stack = new AsyncDisposableStack()
  #loaded: Promise<LoadedConfig> | undefined
  #progress: ProgressView | undefined

  constructor(effects: CliEffects, flags: GlobalFlags, command: Command) {
    this.#effects = effects
    this.#flags = flags
    this.#command = command
  }

  context(): CommandContext {
    const { signal, clock, env, cwd, homeDir } = this.#effects
    return {
      signal,
      clock,
      env,
      cwd,
      homeDir,
      configFlag: this.#flags.config,
      archiveFlag: this.#flags.archive,
      loadConfig: () => (this.#loaded ??= this.#load()),
      openArchive: (mode, options) => this.#open(mode, options),
      openChannels: async () => this.#effects.openChannels((await (this.#loaded ??= this.#load())).config),
      initArchive: async (config) => this.#effects.initArchive(config, await this.#log('warn')),
      runService: (onListening) => this.#runService(onListening),
      runServers: (onListening) => this.#runServers(onListening),
      progress: () => this.#progressView(),
      note: (sentence) => this.#note(sentence),
    }
  }

  /** Takes a live display off the screen before the outcome is printed. */
  closeProgress(): void {
    this.#progress?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  #source(): LoadConfigInput {
    const { env, cwd, homeDir } = this.#effects
    return { flags: { config: this.#flags.config, archive: this.#flags.archive }, env, cwd, homeDir }
  }

  async #load(): Promise<LoadedConfig> {
    const loaded = await loadConfig(this.#source(), this.#effects.signal)
    for (const warning of loaded.warnings) this.#note(`warning: ${warning}`)
    return loaded
  }

  async #open(mode: OpenRequest['mode'], options: OpenArchiveOptions = {}): Promise<OpenedArchive> {
    const loaded = await (this.#loaded ??= this.#load())
    const archive = await this.#effects.openArchive(loaded.config, {
      ...options,
      mode,
      log: await this.#log('warn'),
      signal: this.#effects.signal,
      onWaiting: (reason, untilMs) => this.#progressView().waiting(reason, untilMs),
    })
    return this.#stack.use(archive)
  }

  async #runService(onListening: (servers: ListeningServers) => void): Promise<void> {
    const loaded = await (this.#loaded ??= this.#load())
    const progress = this.#progressView()
    const log = await this.#log(levelOf(loaded.config.log.level))
    const input = { loaded, source: this.#source(), log, progress, onListening }
    await this.#effects.runService(input, this.#effects.signal)
  }

  async #runServers(onListening: (servers: ListeningServers) => void): Promise<void> {
    const { config } = await (this.#loaded ??= this.#load())
    const log = await this.#log(levelOf(config.log.level))
    await this.#effects.runServers({ config, log, onListening }, this.#effects.signal)
  }

  async #log(level: LogLevel): Promise<Log> {
    // On a terminal the display of the work tells each failure in one line; the log would tell it again, with its stack.
    const isTold = this.#command.isWork === true && this.#effects.stderr.isTTY
    const chosen = this.#flags.logLevel ?? (isTold ? 'error' : level)
    const stream = this.#effects.stderr.isTTY ? await prettyStream() : undefined
    const log = createLogger({ level: chosen, stream })
    const clearing =
      (write: Log['info']): Log['info'] =>
      (fields, message) => {
        this.#progress?.clear()
        write(fields, message)
      }
    return {
      debug: chosen === 'debug' ? clearing((fields, message) => log.debug(fields, message)) : () => {},
      info:
        chosen === 'debug' || chosen === 'info' ? clearing((fields, message) => log.info(fields, message)) : () => {},
      warn: clearing((fields, message) => log.warn(fields, message)),
      error: clearing((fields, message) => log.error(fields, message)),
    }
  }

  #progressView(): ProgressView {
    if (this.#progress !== undefined) return this.#progress
    const { stdout, stderr, clock, env } = this.#effects
    const { json: asJson } = this.#flags
    const { isWork = false, listsFailures = false } = this.#command
    const isDumb = env['TERM'] === 'dumb'
    const live = isDumb ? undefined : stderr.isTTY ? stderr : !asJson && stdout.isTTY ? stdout : undefined
    const palette = createPalette(live !== undefined && isColorful(live, this.#effects, this.#flags))
    const lines = asJson ? undefined : isWork ? stdout : stderr
    const chosen = this.#stack.use(chooseProgress({ live, lines, palette, clock, listsFailures }))
    this.#progress = chosen.view
    return chosen.view
  }

  #note(sentence: string): void {
    if (this.#flags.json) return
    this.#progress?.clear()
    void this.#effects.stderr.write(`${harmless(sentence)}\n`).catch(ignoreClosed)
  }
}

function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputClosed)) throw error
}

/** The configuration knows more levels than the logger. */
function levelOf(level: Config['log']['level']): LogLevel {
  if (level === 'trace') return 'debug'
  if (level === 'fatal') return 'error'
  return level
}
