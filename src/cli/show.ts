import type { FileRow, RepoRow, SnapshotRow } from '../archive-rows.ts'
import { displayName } from '../domain/file-name.ts'
import { contradictionsOf, matchText } from '../domain/license-compare.ts'
import { printRepo } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { LicenseRow } from '../license-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { TransitionRow } from '../watch-rows.ts'
import { ago, counted } from './ago.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import { countOption, flagOption, readRepo, type CommandInput } from './command-input.ts'
import { evidenceText } from '../domain/event-words.ts'
import { findSnapshot } from './find-repo.ts'
import { jsonObject } from './json-pieces.ts'
import { licenseJson } from './license-json.ts'
import { harmless } from './printer.ts'
import { eachFile } from './read-pages.ts'
import { fileJson, isHeld, repoJson, snapshotJson } from './repo-json.ts'
import { paintOfState, paintOfUpstream } from './state-paint.ts'
import { layoutTable, renderHeader, renderRow, type Column } from './table.ts'

const FILES_FOR_PEOPLE = 500
const SNAPSHOTS_FOR_PEOPLE = 10
/** Commits whose licence is shown. */
const LICENSES = 1000
const TRANSITIONS = 1000
const TRANSITIONS_FOR_PEOPLE = 10
/** From here on a whole SHA-256 fits beside a path. */
const WIDE_COLUMNS = 150

/** `weightvault show REPO[@REV]` */
export const showCommand: Command = {
  name: 'show',
  summary: 'snapshots, files, digests, licence and upstream state of a repository',
  description:
    'Shows one commit of a repository (the newest, or the one after @): what is held, each file with its SHA-256 and why it is held or not, the licence, and what the Hub says of it now.',
  arguments: [{ name: '<repo>', description: 'owner/name, or owner/name@commit (7 or more hex digits)' }],
  options: [
    {
      flags: '--limit <count>',
      description: `at most so many files (for people ${FILES_FOR_PEOPLE}, with --json all)`,
    },
    { flags: '--wide', description: 'whole SHA-256 on a narrow terminal too' },
  ],
  examples: ['weightvault show Qwen/Qwen3.5-4B', 'weightvault show Qwen/Qwen3.5-4B@1a2b3c4 --json'],
  exits: [9],
  run: show,
}

async function show(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const argument = readRepo(input.arguments[0]!)
  const limit = countOption(input, 'limit', 1)
  const archive = await context.openArchive('read')
  const { row, snapshot } = await findSnapshot(archive, argument)
  const transitions = await archive.catalog.transitions(row.repoId, TRANSITIONS)
  const others = (await archive.catalog.reposNamed(argument.ref)).filter(({ repoId }) => repoId !== row.repoId)
  return {
    exitCode: 0,
    json: () => {
      const files = jsonFiles(archive, snapshot, limit ?? Infinity, context.signal)
      const head = {
        ...repoJson(row),
        snapshot: snapshotJson(snapshot),
        upstreamEvidence: row.upstreamEvidence ?? null,
        transitions: transitions.map(transitionJson),
      }
      const licenses = jsonLicenses(archive, row)
      return jsonObject(head, [
        { key: 'files', elements: files },
        { key: 'licenses', elements: licenses },
      ])
    },
    async *text(screen) {
      const license = await archive.catalog.licenses.entryOf(snapshot.snapshotId)
      yield `${factsText(row, snapshot, license, screen)}\n`
      yield `${historyText(transitions, screen)}${others.map(otherText).join('')}\n`
      yield* filesText(
        archive,
        snapshot,
        { limit: limit ?? FILES_FOR_PEOPLE, isWide: flagOption(input, 'wide') },
        screen,
      )
    },
  }
}

async function* jsonFiles(
  archive: Pick<OpenedArchive, 'catalog'>,
  snapshot: SnapshotRow,
  limit: number,
  signal: AbortSignal,
): AsyncIterable<unknown> {
  let left = limit
  for await (const file of eachFile(archive.catalog, snapshot.snapshotId, signal)) {
    if (left <= 0) return
    left -= 1
    yield fileJson(file)
  }
}

/** The licence of every commit, newest first. */
async function* jsonLicenses(archive: Pick<OpenedArchive, 'catalog'>, row: RepoRow): AsyncIterable<unknown> {
  for (const entry of await archive.catalog.licenses.history(row.repoId, LICENSES)) yield licenseJson(archive, entry)
}

function transitionJson({ at, from, to, evidence }: TransitionRow): unknown {
  return { at, from, to, evidence: evidence ?? null }
}

/** What became of it upstream and what proves that. Nothing for one that was only ever there. */
function historyText(transitions: readonly TransitionRow[], screen: Screen): string {
  const { palette } = screen
  if (transitions.length < 2) return ''
  const lines = transitions.slice(-TRANSITIONS_FOR_PEOPLE).map(({ at, from, to, evidence }) => {
    const proof = evidenceText(evidence)
    const states = `${from} → ${paintOfUpstream(to, palette)(to)}`
    return `    ${palette.faint(at)}  ${states}${proof === '' ? '' : ` (${proof})`}`
  })
  const more = transitions.length - lines.length
  return [`  ${palette.faint('changes')}${more > 0 ? ` (${more} earlier: --json)` : ''}`, ...lines, ''].join('\n')
}

/** Another repository of the same name: its commits are shown by `REPO@<commit>`. */
function otherText(other: RepoRow): string {
  const commit = other.newest?.commit.slice(0, 10)
  const how = commit === undefined ? '' : `; show ${printRepo(other.ref)}@${commit}`
  return `  another repository had or has this name: ${other.hubId} (${other.upstream})${how}\n`
}

function factsText(row: RepoRow, snapshot: SnapshotRow, license: LicenseRow | undefined, screen: Screen): string {
  const { palette, nowMs } = screen
  const facts: [string, string][] = [
    ['upstream', upstreamText(row, screen)],
    ['licence', licenseText(row, license)],
    ['state', `${paintOfState(snapshot.state, palette)(snapshot.state)}${stateText(snapshot, nowMs)}`],
    ['held', heldText(snapshot)],
    ['verified', ago(row.lastVerifiedAt, nowMs)],
  ]
  if (row.formats.length > 0) facts.push(['formats', harmless(row.formats.join(', '))])
  if (row.quants.length > 0) facts.push(['quants', harmless(row.quants.join(', '))])
  facts.push(['snapshots', snapshotsText(row)])
  const lines = facts.map(([name, value]) => `  ${palette.faint(name.padEnd(10))} ${value}`)
  return [`${palette.strong(palette.name(printRepo(row.ref)))} @ ${snapshot.commit}`, ...lines].join('\n')
}

function upstreamText(row: RepoRow, screen: Screen): string {
  const state = paintOfUpstream(row.upstream, screen.palette)(row.upstream)
  const evidence = row.upstream === 'ok' ? '' : evidenceText(row.upstreamEvidence)
  return `${state}, last seen ${ago(row.lastSeenAt, screen.nowMs)}${evidence === '' ? '' : ` (${evidence})`}`
}

function licenseText(row: RepoRow, entry: LicenseRow | undefined): string {
  const { license, license_name, license_link } = entry?.stated ?? row.license
  const name = [license, license_name].filter((word) => word !== undefined).join(': ')
  const stated = `${name === '' ? 'none stated' : name}${license_link === undefined ? '' : ` <${license_link}>`}`
  const contradictions = entry === undefined ? [] : contradictionsOf(entry)
  const warnings = contradictions.map(({ path, reading }) => `; but ${path} reads ${matchText(reading.match)}`)
  return displayName(`${stated}${warnings.join('')}`)
}

function stateText(snapshot: SnapshotRow, nowMs: number): string {
  const coverage = snapshot.coverage === 'all' ? 'every file' : 'a selection of the files'
  if (snapshot.state === 'sealed') return ` ${ago(snapshot.sealedAt, nowMs)}, ${coverage}`
  const blocked = snapshot.blockedBy === undefined ? '' : ` by ${snapshot.blockedBy}`
  const hold = snapshot.hold === 'none' ? '' : `, held back: ${snapshot.hold}`
  return `${blocked}, listed ${ago(snapshot.listedAt, nowMs)}, ${coverage} wanted${hold}`
}

function heldText(snapshot: SnapshotRow): string {
  const { filesHeld, filesListed, filesWanted, bytesHeld, bytesListed, bytesWanted } = snapshot
  const wanted =
    filesWanted === filesListed ? '' : `; wanted ${counted(filesWanted, 'file')}, ${formatSize(bytesWanted)}`
  return `${filesHeld} of ${counted(filesListed, 'file')}, ${formatSize(bytesHeld)} of ${formatSize(bytesListed)}${wanted}`
}

function snapshotsText(row: RepoRow): string {
  const shown = row.snapshots.slice(0, SNAPSHOTS_FOR_PEOPLE)
  const words = shown.map((snapshot) => `${snapshot.commit.slice(0, 10)} ${snapshot.state}`)
  const more = row.snapshots.length - shown.length
  return `${words.join(', ')}${more > 0 ? `, … ${more} more (--json)` : ''}`
}

async function* filesText(
  archive: Pick<OpenedArchive, 'catalog'>,
  snapshot: SnapshotRow,
  options: { limit: number; isWide: boolean },
  screen: Screen,
): AsyncIterable<string> {
  const page = { after: undefined, limit: Math.min(options.limit, FILES_FOR_PEOPLE) }
  let files = await archive.catalog.files(snapshot.snapshotId, page)
  // The first page decides the widths, so that a listing of any length is shown without being held.
  const layout = layoutTable(fileColumns(screen, options.isWide), files, screen.columns)
  yield renderHeader(layout, screen.palette.faint)
  let shown = 0
  while (files.length > 0) {
    yield files.map((file) => `\n${renderRow(layout, file)}`).join('')
    shown += files.length
    const limit = Math.min(options.limit - shown, FILES_FOR_PEOPLE)
    if (limit <= 0) break
    files = await archive.catalog.files(snapshot.snapshotId, { after: files.at(-1)!.path, limit })
  }
  const more = snapshot.filesListed - shown
  if (more > 0)
    yield `\n${screen.palette.attention('more:')} ${counted(more, 'file')} (--limit ${snapshot.filesListed})`
}

function fileColumns(screen: Screen, isWide: boolean): Column<FileRow>[] {
  const { palette } = screen
  const digits = isWide || screen.columns >= WIDE_COLUMNS ? 64 : 12
  return [
    { header: 'PATH', text: (file) => file.path, minWidth: 24, shorten: 'middle' },
    { header: 'SIZE', align: 'right', text: (file) => formatSize(file.size) },
    {
      header: 'HELD',
      text: (file) => (isHeld(file) ? 'yes' : file.take ? 'not yet' : 'no'),
      paint: (file) => (isHeld(file) ? palette.good : file.take ? palette.attention : palette.faint),
    },
    {
      header: 'SHA256',
      text: (file) => (file.sha256 ?? file.lfsOid)?.slice(0, digits) ?? '-',
      paint: (file) => (isHeld(file) ? palette.strong : palette.faint),
    },
    { header: 'REASON', text: (file) => file.reason, minWidth: 8, dropRank: 1 },
  ]
}
