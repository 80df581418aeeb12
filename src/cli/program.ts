import { Command as Parser, CommanderError } from 'commander'
import { LOG_LEVELS, type LogLevel } from '../lib/logger.ts'
import { closestWord } from '../config/closest-word.ts'
import type { Command } from './command.ts'
import { choiceOption, quote, usage, type CommandInput } from './command-input.ts'
import { exitStatusText } from './exit-status.ts'

/** No help is wider, however wide the terminal. */
const HELP_COLUMNS = 100

/** Options that every command has. */
export interface GlobalFlags {
  readonly config: string | undefined
  readonly archive: string | undefined
  readonly json: boolean
  readonly logLevel: LogLevel | undefined
  readonly color: boolean
}

/** Several commands under one word; alone, the word means its first command. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly commands: readonly [Command, ...Command[]]
}

/** What the words of a call ask for: a text that is ready (help, version), or a command to run. */
export type Call =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'run'; readonly command: Command; readonly input: CommandInput; readonly flags: GlobalFlags }

/**
 * Splits the words after `weightvault`.
 * @param columns of the terminal that help is for; Infinity = none
 * @throws ArchiveError USAGE with the word that was probably meant, and the usage of the command
 */
export async function parseCall(
  words: readonly string[],
  entries: readonly (Command | CommandGroup)[],
  version: string,
  columns: number = Infinity,
): Promise<Call> {
  const run: Extract<Call, { kind: 'run' }>[] = []
  let text = ''
  const program = createProgram(version)
  const surroundings: Surroundings = { program, columns, write: (piece) => (text += piece) }
  configure(program, surroundings)
  for (const entry of entries) {
    const add = (parent: Parser, command: Command, name: string): Parser => {
      const parser = describe(parent.command(name), command)
      configure(parser, surroundings)
      return parser.action(() => void run.push(callOf(command, parser, program)))
    }
    if ('commands' in entry) addGroup(surroundings, entry, add)
    else add(program, entry, entry.name)
  }
  mustBeHelpTopic(words, entries)
  try {
    await program.parseAsync(helpAsOption(words, entries), { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return { kind: 'text', text }
    throw error
  }
  return run[0] ?? { kind: 'text', text }
}

/** `help lst` would print the help of everything as if nothing were wrong. */
function mustBeHelpTopic([first, topic]: readonly string[], entries: readonly (Command | CommandGroup)[]): void {
  if (first !== 'help' || topic === undefined || topic.startsWith('-')) return
  const names = [...entries.map((entry) => entry.name), 'help']
  if (names.includes(topic)) return
  const meant = closestWord(topic, names)
  throw usage(
    `unknown command ${quote(topic)}`,
    `${meant === undefined ? '' : `did you mean "${meant}"? `}usage: weightvault help [command]`,
  )
}

/** `help watch add` as `watch add --help`: the parser's own "help" looks no deeper than the first word. */
function helpAsOption(words: readonly string[], entries: readonly (Command | CommandGroup)[]): readonly string[] {
  const [first, topic, word] = words
  const group = entries.find((entry) => entry.name === topic)
  if (first !== 'help' || group === undefined || !('commands' in group)) return words
  if (word === undefined || word.startsWith('-')) return words
  const names = group.commands.map((command) => command.name.slice(group.name.length + 1))
  if (!names.includes(word)) throw unknownWord(group, word, names)
  return [group.name, word, '--help']
}

function unknownWord(group: CommandGroup, word: string, names: readonly string[]): Error {
  const meant = closestWord(word, names)
  return usage(
    `unknown command ${quote(word)}`,
    `${meant === undefined ? '' : `did you mean "${meant}"? `}usage: weightvault ${group.name} [${names.join('|')}]`,
  )
}

function createProgram(version: string): Parser {
  return new Parser('weightvault')
    .usage('<command> [options]')
    .description(
      'Keeps open model weights: watches Hugging Face organisations, archives every variant with proof, and lists and verifies what it holds.',
    )
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'explain the program, or a command')
    .option('--config <file>', 'configuration file (default: ./weightvault.yaml, then the one in your home)')
    .option('--archive <folder>', 'folder of the archive; wins over the configuration')
    .option('--json', 'print one JSON document instead of text')
    .option('--log-level <level>', `least level that is logged to stderr: ${LOG_LEVELS.join(', ')}`)
    .option('--no-color', 'no colours (also: the variable NO_COLOR)')
    .addHelpText(
      'after',
      '\nRepositories are written owner/name, owner/name@commit, hf://owner/name\nor as a URL of the Hub.',
    )
    .addHelpText('after', '\nExamples:\n  $ weightvault init\n  $ weightvault plan\n  $ weightvault run')
    .addHelpText('after', `\n${exitStatusText([3, 6, 8, 9, 10, 20, 78, 130])}`)
}

const OPTIONS_OF_ALL =
  '\nOptions of every command (weightvault --help):\n  --config --archive --json --log-level --no-color'

function describe(parser: Parser, command: Command): Parser {
  parser.summary(command.summary).description(command.description)
  for (const argument of command.arguments ?? []) parser.argument(argument.name, argument.description)
  addOptions(parser, command)
  const examples = command.examples.map((example) => `  $ ${example}`).join('\n')
  return parser
    .addHelpText('after', `\nExamples:\n${examples}`)
    .addHelpText('after', `\n${exitStatusText([3, ...(command.exits ?? [])])}`)
    .addHelpText('after', OPTIONS_OF_ALL)
}

function addOptions(parser: Parser, command: Command): void {
  for (const option of command.options ?? []) parser.option(option.flags, option.description)
}

function addGroup(
  surroundings: Surroundings,
  group: CommandGroup,
  add: (parent: Parser, command: Command, name: string) => Parser,
): void {
  const [first] = group.commands
  const parent = surroundings.program.command(group.name).summary(group.summary).description(group.description)
  parent.usage('[command] [options]').allowExcessArguments(true)
  configure(parent, surroundings)
  addOptions(parent, first)
  const examples = group.commands.flatMap((command) => command.examples.slice(0, 1)).map((line) => `  $ ${line}`)
  parent.addHelpText('after', `\nExamples:\n${examples.join('\n')}`)
  parent.addHelpText('after', `\n${exitStatusText(group.commands.flatMap((command) => [3, ...(command.exits ?? [])]))}`)
  parent.addHelpText('after', OPTIONS_OF_ALL)
  const names = group.commands.map((command) => command.name.slice(group.name.length + 1))
  // A command takes over what its parent allows: the word after a group may be any, those after a command may not.
  const parsers = group.commands.map((command, at) => add(parent, command, names[at]!).allowExcessArguments(false))
  parent.action(async () => {
    const [word] = parent.args
    if (word === undefined) {
      await parsers[0]!.parseAsync([], { from: 'user' })
      return
    }
    throw unknownWord(group, word, names)
  })
}

/** What every parser of one call shares. */
interface Surroundings {
  readonly program: Parser
  readonly columns: number
  readonly write: (text: string) => void
}

function configure(parser: Parser, { program, columns, write }: Surroundings): void {
  const width = Math.min(columns, HELP_COLUMNS)
  parser.configureOutput({ writeOut: write, writeErr: () => {}, getOutHelpWidth: () => width, outputError: () => {} })
  parser.exitOverride((error) => {
    const isAnswer = error.code === 'commander.helpDisplayed' || error.code === 'commander.version'
    if (isAnswer || error.message === '(outputHelp)') {
      if (error.exitCode === 0) throw error
    }
    if (error.code === 'commander.help' && error.exitCode === 0) throw error
    throw usageErrorOf(error, parser, program)
  })
}

function usageErrorOf(error: CommanderError, parser: Parser, program: Parser): Error {
  const path = parser === program ? 'weightvault' : commandPath(parser)
  const seeHelp = `usage: ${path} ${parser.usage()} (${path} --help)`
  if (error.code === 'commander.help') return usage('no command was given', seeHelp)
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const meant = suggestion?.replace(/^\(D/, 'd').replace(/\)$/, ' ')
  return usage(message, `${meant ?? ''}${seeHelp}`)
}

function commandPath(parser: Parser): string {
  const names: string[] = []
  for (let at: Parser | null = parser; at !== null; at = at.parent) names.unshift(at.name())
  return names.join(' ')
}

function callOf(command: Command, parser: Parser, program: Parser): Extract<Call, { kind: 'run' }> {
  const options = { ...parser.parent?.opts(), ...parser.opts() }
  const globals = { arguments: [], options: program.opts() }
  return {
    kind: 'run',
    command,
    input: { arguments: parser.args, options },
    flags: {
      config: textOf(globals.options['config']),
      archive: textOf(globals.options['archive']),
      json: globals.options['json'] === true,
      logLevel: choiceOption(globals, 'logLevel', LOG_LEVELS),
      color: globals.options['color'] !== false,
    },
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
