import type { Clock } from '../clock-port.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import type { Config } from '../config/config.ts'
import type { AlertChannel } from '../alert-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { Progress } from '../progress-port.ts'
import type { CommandInput } from './command-input.ts'
import type { Palette } from './palette.ts'

/** What a text for people is drawn on. */
export interface Screen {
  /** Terminal columns; Infinity where the output goes into a file or a pipe. */
  readonly columns: number
  readonly palette: Palette
  /** Milliseconds since 1970, for "3m ago". */
  readonly nowMs: number
}

/** What a command found, in both forms. Only one of them is ever asked for. */
export interface Outcome {
  /** The JSON document, whole or in pieces. */
  json(): AsyncIterable<string>
  /** The text for people, in pieces, without a last line end. */
  text(screen: Screen): AsyncIterable<string>
  readonly exitCode: number
  /** Every piece ends its own line, so that a reader has it whole as soon as it is there. */
  readonly isLines?: boolean
}

export interface OpenArchiveOptions {
  /** Opens no connection, to a Hub or a service, and has no code that could: for what must work without any network. */
  readonly withoutNetwork?: boolean
}

/** What listens, by its origin; undefined where the configuration says off. */
export interface ListeningServers {
  readonly mirror: { readonly origin: string } | undefined
  readonly dashboard: { readonly origin: string } | undefined
}

/** What a command may reach. Everything opened through it is closed after the outcome is printed. */
export interface CommandContext {
  readonly signal: AbortSignal
  readonly clock: Clock
  /** The environment, for what other programs' variables tell (caches of the Hub's clients). */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly homeDir: string
  /** The value of --config, as given. */
  readonly configFlag: string | undefined
  /** The value of --archive, as given. */
  readonly archiveFlag: string | undefined
  /** @throws ArchiveError CONFIG_INVALID, CREDENTIALS_INVALID, UNSAFE_PERMISSION */
  loadConfig(): Promise<LoadedConfig>
  /**
   * `auto` writes when no service holds the archive and only reads when one does; `write` throws ARCHIVE_LOCKED then.
   * @throws ArchiveError ARCHIVE_MISSING_MARKER, ARCHIVE_LOCKED, …
   */
  openArchive(mode: 'read' | 'write' | 'auto', options?: OpenArchiveOptions): Promise<OpenedArchive>
  /** The configured alert channels. */
  openChannels(): Promise<readonly AlertChannel[]>
  /** Makes and marks the archive folder; one that is an archive already is left as it is. */
  initArchive(config: Config): Promise<void>
  /**
   * The service, until the signal asks it to stop.
   * @param onListening told once it has the archive, and dashboard and mirror listen
   * @throws ArchiveError ARCHIVE_LOCKED, ADDRESS_UNUSABLE, …
   */
  runService(onListening: (servers: ListeningServers) => void): Promise<void>
  /**
   * Dashboard and mirror of the archive, read-only, until the signal asks them to stop.
   * @param onListening told once they listen
   * @throws ArchiveError ADDRESS_UNUSABLE, …
   */
  runServers(onListening: (servers: ListeningServers) => void): Promise<void>
  /** Shows long work: live on a terminal, as lines in a pipe, not at all with --json into a pipe. */
  progress(): Progress
  /** A remark for people on stderr; not with --json. */
  note(sentence: string): void
}

interface OptionSpec {
  /** As commander reads it: `--larger <size>`. */
  readonly flags: string
  readonly description: string
}

interface ArgumentSpec {
  /** `<repo>`, `[path]`, `[repo...]`. */
  readonly name: string
  readonly description: string
}

/** One command. `run` returns data; it prints nothing itself. */
export interface Command {
  /** Words after `weightvault`: `list`, or `queue bump`. */
  readonly name: string
  /** One line in the list of commands. */
  readonly summary: string
  /** A paragraph in its own help. */
  readonly description: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly examples: readonly string[]
  /** Exit codes besides 0, 1 and 2, which every command has. */
  readonly exits?: readonly number[]
  /** Its progress is what people came for: as lines it goes to stdout with the rest. Else to stderr. */
  readonly isWork?: boolean
  /** Its outcome lists what failed: no event of a failure is shown while it works. */
  readonly listsFailures?: boolean
  run(context: CommandContext, input: CommandInput): Promise<Outcome>
}

/** An outcome whose data are all there. */
export function outcome(data: unknown, text: (screen: Screen) => string, exitCode = 0): Outcome {
  return {
    exitCode,
    async *json() {
      yield JSON.stringify(data, null, 2)
    },
    async *text(screen) {
      yield text(screen)
    },
  }
}
