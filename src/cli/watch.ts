import { resolve } from 'node:path'
import { settingsOf } from '../config/config.ts'
import { addWatch, removeWatch } from '../config/config-file.ts'
import { isOwnerOrName, parseRepoArgument, printRepo } from '../domain/repo.ts'
import { ArchiveError, ERROR_CODES } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome } from './command.ts'
import { flagOption, listOption, quote, textOption, usage, type CommandInput } from './command-input.ts'
import type { CommandGroup } from './program.ts'
import { watchRows } from './status.ts'
import { renderTable } from './table.ts'
import { watchColumns, type WatchRow } from './watch-columns.ts'

/** The service looks at its configuration file every few seconds. */
const WHEN_NOTICED = 'A running service notices within 10 seconds; "weightvault sync" polls at once.'

const listWatches: Command = {
  name: 'watch ls',
  summary: 'what is watched, with the last poll of each',
  description: 'Lists the watch entries of the configuration with their last poll.',
  examples: ['weightvault watch ls'],
  exits: [9],
  run: list,
}

const addToWatches: Command = {
  name: 'watch add',
  summary: 'watch an organisation, a user or a repository',
  description:
    'Adds an entry to the watch list in the configuration file; comments and layout stay. "Qwen" or "org:Qwen" is an organisation, "user:unsloth" a user, "Qwen/Qwen3-0.6B" one repository.',
  arguments: [{ name: '<target>', description: 'org:NAME, user:NAME, or owner/name' }],
  options: [
    { flags: '--every <duration>', description: 'how often to ask for news: 10m' },
    { flags: '--match <glob>', description: 'of an organisation or user only these repositories: "Qwen3*-GGUF"' },
    { flags: '--metadata', description: 'keep only cards, configs, licences and tokenizers' },
    { flags: '--formats <list>', description: 'keep only these formats: safetensors,gguf' },
    { flags: '--quants <list>', description: 'for GGUF keep only these: Q8_0,Q4_K_M' },
    { flags: '--include <globs>', description: 'keep only paths that match' },
    { flags: '--exclude <globs>', description: 'never keep paths that match' },
    { flags: '--max-repo <size>', description: 'of larger repositories keep the small files only: 200GB' },
  ],
  examples: [
    'weightvault watch add org:Qwen',
    'weightvault watch add user:unsloth --match "Qwen3*-GGUF" --quants UD-Q4_K_XL',
    'weightvault watch add Qwen/Qwen3-0.6B --every 1h',
  ],
  run: add,
}

const removeFromWatches: Command = {
  name: 'watch rm',
  summary: 'watch it no more; what is archived stays',
  description: 'Removes an entry from the watch list in the configuration file. Nothing that is archived is touched.',
  arguments: [{ name: '<target>', description: 'org:NAME, user:NAME, or owner/name' }],
  examples: ['weightvault watch rm user:unsloth'],
  run: remove,
}

/** `weightvault watch [ls|add|rm]` */
export const watchGroup: CommandGroup = {
  name: 'watch',
  summary: 'the watch list',
  description: 'Shows or changes the watch list. Without a word: the list.',
  commands: [listWatches, addToWatches, removeFromWatches],
}

async function list(context: CommandContext): Promise<Outcome> {
  const rows = await readRows(context)
  const data = rows.map(({ entry, state }) => ({
    watch: entry.key,
    everyMs: entry.everyMs,
    keep: entry.keep,
    repos: state?.repos ?? 0,
    lastPollAt: state?.lastPollAt ?? null,
    lastOkAt: state?.lastOkAt ?? null,
    lastErrorCode: state?.lastErrorCode ?? null,
  }))
  return outcome({ watches: data }, (screen) =>
    rows.length === 0
      ? 'Nothing is watched. "weightvault watch add org:Qwen" watches an organisation.'
      : renderTable(watchColumns(screen), rows, screen.columns, screen.palette.faint),
  )
}

/** The list is in the configuration: without an archive it is only not known what was polled. */
async function readRows(context: CommandContext): Promise<WatchRow[]> {
  try {
    const archive = await context.openArchive('read')
    return watchRows(archive, await archive.catalog.watchStates())
  } catch (error) {
    if (!(error instanceof ArchiveError) || error.code !== 'ARCHIVE_MISSING_MARKER') throw error
    context.note(`${error.message}\nhint: ${error.hint ?? ''}`)
    const { config } = await context.loadConfig()
    return watchRows({ settings: settingsOf(config) }, [])
  }
}

async function add(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const target = readTarget(input.arguments[0]!)
  const file = await configFile(context)
  const keep = {
    files: flagOption(input, 'metadata') ? ('metadata' as const) : undefined,
    formats: listOption(input, 'formats'),
    quants: listOption(input, 'quants'),
    include: listOption(input, 'include'),
    exclude: listOption(input, 'exclude'),
    max_repo: textOption(input, 'maxRepo'),
  }
  const isKeepGiven = Object.values(keep).some((value) => value !== undefined)
  const entry = {
    ...target,
    every: textOption(input, 'every'),
    match: textOption(input, 'match'),
    keep: isKeepGiven ? keep : undefined,
  }
  // The schema of the configuration checks every value, and names the one that is wrong.
  const isAdded = await addWatch(file, entry as Parameters<typeof addWatch>[1], context.signal).catch(asUsage)
  const name = targetText(target)
  return outcome({ added: isAdded, watch: target, file }, () => {
    if (!isAdded) return `${name} is watched already (${displayName(file)}).`
    return `Added ${name} to ${displayName(file)}.\n${WHEN_NOTICED}`
  })
}

async function remove(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const target = readTarget(input.arguments[0]!)
  const file = await configFile(context)
  const name = targetText(target)
  const removed = await removeWatch(file, nameOf(target), context.signal)
  if (removed === 0) {
    throw new ArchiveError('USAGE', `${name} is not on the watch list in ${displayName(file)}`, {
      hint: '"weightvault watch ls" shows the list',
    })
  }
  return outcome({ removed, file }, () => {
    const done = `Removed ${counted(removed, 'entry', 'entries')} of ${name} from ${displayName(file)}; what is archived stays.`
    return `${done}\nA running service notices within 10 seconds.`
  })
}

type Target = { readonly org: string } | { readonly user: string } | { readonly repo: string }

function readTarget(text: string): Target {
  const colon = text.indexOf(':')
  const kind = colon < 0 ? '' : text.slice(0, colon)
  const name = text.slice(colon + 1)
  if (kind === 'org' && isOwnerOrName(name)) return { org: name }
  if (kind === 'user' && isOwnerOrName(name)) return { user: name }
  if (kind === '' && isOwnerOrName(text)) return { org: text }
  const repo = parseRepoArgument(kind === 'repo' ? name : text)
  if (repo !== undefined && repo.revision === undefined) return { repo: printRepo(repo.ref) }
  throw usage(`${quote(text)} cannot be watched`, 'write org:NAME, user:NAME or owner/name')
}

/** As a person would write it: `org:Qwen`, `user:unsloth`, `Qwen/Qwen3-0.6B`. */
function targetText(target: Target): string {
  return 'org' in target ? `org:${target.org}` : 'user' in target ? `user:${target.user}` : target.repo
}

function nameOf(target: Target): string {
  return 'org' in target ? target.org : 'user' in target ? target.user : target.repo
}

/** The file in force; where there is none yet, the one that would be found first. */
async function configFile(context: CommandContext): Promise<string> {
  if (context.configFlag !== undefined) return resolve(context.cwd, context.configFlag)
  return (await context.loadConfig()).file ?? resolve(context.cwd, 'weightvault.yaml')
}

/** A bad value here was typed on the command line: wrong usage, not a bad file. */
function asUsage(error: unknown): never {
  if (!(error instanceof ArchiveError) || ERROR_CODES[error.code].exitCode !== 3) throw error
  if (!error.message.startsWith('watch entry')) throw error
  throw new ArchiveError('USAGE', error.message.replaceAll('watch entry: ', ''), { cause: error })
}
