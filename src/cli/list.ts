import { effectiveLicense, parseRepoArgument, printRepo } from '../domain/repo.ts'
import { SNAPSHOT_STATES, type RepoFilter, type RepoRow } from '../archive-rows.ts'
import { UPSTREAM_STATES } from '../domain/repo-state.ts'
import { formatSize } from '../lib/units.ts'
import { assertCatalogKnows } from '../maintenance/lost-catalog.ts'
import { ago, counted, formatCount } from './ago.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import { choiceOption, countOption, sizeOption, textOption, usage, quote, type CommandInput } from './command-input.ts'
import { jsonObject } from './json-pieces.ts'
import { eachRepo } from './read-pages.ts'
import { repoJson } from './repo-json.ts'
import { paintOfState, paintOfUpstream } from './state-paint.ts'
import { renderTable, type Column } from './table.ts'

/** More rows than anyone reads; the rest is one `--after` away. */
const ROWS_FOR_PEOPLE = 1000

/** `weightvault list` */
export const listCommand: Command = {
  name: 'list',
  summary: 'archived models, with filters',
  description:
    'Lists every repository the archive knows, by name, with what is held of its newest commit. All filters that are given must match.',
  options: [
    { flags: '--format <format>', description: 'has weights of this format: safetensors, gguf, …' },
    { flags: '--quant <quant>', description: 'has this quantisation: Q4_K_M, UD-Q4_K_XL, …' },
    { flags: '--license <license>', description: 'is offered under this licence: apache-2.0, …' },
    { flags: '--state <state>', description: `newest snapshot is ${SNAPSHOT_STATES.join(', ')}` },
    { flags: '--upstream <state>', description: `on the Hub it is ${UPSTREAM_STATES.join(', ')}` },
    { flags: '--larger <size>', description: 'newest commit has at least so many bytes: 10GB' },
    { flags: '--smaller <size>', description: 'newest commit has at most so many bytes: 500MB' },
    { flags: '--text <text>', description: 'owner/name contains this text' },
    { flags: '--limit <count>', description: `at most so many rows (for people ${ROWS_FOR_PEOPLE}, with --json all)` },
    { flags: '--after <repo>', description: 'start after this repository' },
  ],
  examples: [
    'weightvault list --format gguf --license apache-2.0 --state sealed',
    'weightvault list --upstream unavailable --json',
    'weightvault list --larger 10GB --text qwen3.5',
  ],
  exits: [9],
  run: list,
}

async function list(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const filter = readFilter(input)
  const limit = countOption(input, 'limit', 1)
  const after = readAfter(textOption(input, 'after'))
  const archive = await context.openArchive('read')
  await assertCatalogKnows(archive)
  const rows = (atMost: number, withSnapshots: boolean): AsyncIterable<RepoRow> =>
    eachRepo(archive.catalog, filter, { after, limit: atMost, withSnapshots }, context.signal)
  return {
    exitCode: 0,
    json: () => jsonObject({}, [{ key: 'repos', elements: jsonRows(rows(limit ?? Infinity, true)) }]),
    async *text(screen) {
      const atMost = limit ?? ROWS_FOR_PEOPLE
      const shown: RepoRow[] = []
      for await (const row of rows(atMost + 1, false)) shown.push(row)
      const isCut = shown.length > atMost
      const isFiltered = Object.keys(filter).length > 0
      const isPage = after !== undefined
      const isAll = !isCut && !isFiltered && !isPage
      const onDisk = isAll ? (await archive.catalog.totals()).blobBytes : undefined
      yield listText(isCut ? shown.slice(0, atMost) : shown, { isCut, isFiltered, isPage, onDisk }, screen)
    },
  }
}

async function* jsonRows(rows: AsyncIterable<RepoRow>): AsyncIterable<unknown> {
  for await (const row of rows) yield repoJson(row)
}

interface Shown {
  readonly isCut: boolean
  readonly isFiltered: boolean
  /** Begins after a repository. */
  readonly isPage: boolean
  /** Bytes of all blobs; undefined when not everything is shown. */
  readonly onDisk: number | undefined
}

function listText(rows: readonly RepoRow[], { isCut, isFiltered, isPage, onDisk }: Shown, screen: Screen): string {
  if (rows.length === 0) {
    if (isFiltered) return `No repository fits these filters${isPage ? ' after that one' : ''}.`
    if (isPage) return 'No repository comes after that one.'
    return 'The archive knows no repository yet. "weightvault plan" asks the Hub, "weightvault sync" fetches.'
  }
  const { palette } = screen
  const table = renderTable(listColumns(screen), rows, screen.columns, palette.faint)
  const held = rows.reduce((sum, row) => sum + (row.newest?.bytesHeld ?? 0), 0)
  const listed = rows.reduce((sum, row) => sum + (row.newest?.bytesListed ?? 0), 0)
  const sealed = rows.filter((row) => row.newest?.state === 'sealed').length
  const total = `${counted(rows.length, 'repository', 'repositories')}, ${formatCount(sealed)} sealed; ${formatSize(held)} held of ${formatSize(listed)} listed${onceText(held, onDisk)}`
  const more = isCut ? `\n${palette.attention('more:')} weightvault list --after ${printRepo(rows.at(-1)!.ref)}` : ''
  return `${table}\n\n${palette.strong(total)}${more}`
}

function onceText(held: number, onDisk: number | undefined): string {
  if (onDisk === undefined || onDisk >= held) return ''
  return ` (${formatSize(onDisk)} on disk: the same bytes are stored once)`
}

function listColumns(screen: Screen): Column<RepoRow>[] {
  const { palette, nowMs } = screen
  const size = (bytes: number | undefined): string => (bytes === undefined ? '-' : formatSize(bytes))
  return [
    { header: 'REPO', text: (row) => printRepo(row.ref), minWidth: 30, shorten: 'middle', paint: () => palette.name },
    {
      header: 'STATE',
      text: (row) => row.newest?.state ?? 'unlisted',
      paint: (row) => paintOfState(row.newest?.state, palette),
    },
    {
      header: 'UPSTREAM',
      text: (row) => row.upstream,
      dropRank: 2,
      paint: (row) => paintOfUpstream(row.upstream, palette),
    },
    { header: 'LICENSE', text: (row) => effectiveLicense(row.license) ?? '-', minWidth: 10, dropRank: 3 },
    { header: 'FORMATS', text: (row) => row.formats.join(',') || '-', minWidth: 11, dropRank: 5 },
    { header: 'QUANTS', text: (row) => row.quants.join(',') || '-', minWidth: 12, dropRank: 6 },
    { header: 'HELD', align: 'right', text: (row) => size(row.newest?.bytesHeld) },
    { header: 'LISTED', align: 'right', text: (row) => size(row.newest?.bytesListed), dropRank: 1 },
    { header: 'FILES', align: 'right', text: filesText, dropRank: 4 },
    { header: 'VERIFIED', align: 'right', text: (row) => ago(row.lastVerifiedAt, nowMs), dropRank: 7 },
  ]
}

function filesText(row: RepoRow): string {
  return row.newest === undefined ? '-' : `${row.newest.filesHeld}/${row.newest.filesListed}`
}

function readFilter(input: CommandInput): RepoFilter {
  const filter = {
    format: textOption(input, 'format')?.toLowerCase(),
    quant: textOption(input, 'quant')?.toUpperCase(),
    license: textOption(input, 'license'),
    state: choiceOption(input, 'state', SNAPSHOT_STATES),
    upstream: choiceOption(input, 'upstream', UPSTREAM_STATES),
    largerBytes: sizeOption(input, 'larger'),
    smallerBytes: sizeOption(input, 'smaller'),
    text: textOption(input, 'text'),
  }
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given)
}

function readAfter(text: string | undefined): RepoRow['ref']['name'] | undefined {
  if (text === undefined) return undefined
  const name = parseRepoArgument(text)?.ref.name
  if (name === undefined) throw usage(`--after is the name of a repository; ${quote(text)} is none`)
  return name
}
