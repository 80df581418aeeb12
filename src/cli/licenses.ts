import type { RepoRow } from '../archive-rows.ts'
import { contradictionsOf, matchText } from '../domain/license-compare.ts'
import { displayName } from '../domain/file-name.ts'
import { effectiveLicense, printRepo } from '../domain/repo.ts'
import type { LicenseRow } from '../license-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { ago, counted } from './ago.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import { countOption, flagOption, readRepo, usage, type CommandInput } from './command-input.ts'
import { findRepo, findSnapshot } from './find-repo.ts'
import { jsonObject } from './json-pieces.ts'
import { licenseTextChanges } from './license-diff.ts'
import { licenseJson } from './license-json.ts'
import { receiptText } from './license-receipt.ts'
import { escapeControls, harmless } from './printer.ts'
import { eachRepo } from './read-pages.ts'
import { renderTable, type Column } from './table.ts'

const COMMITS = 1000

/** `weightvault licenses [REPO] [--diff | --receipt]` */
export const licensesCommand: Command = {
  name: 'licenses',
  summary: 'the licence history of each repository, with text differences',
  description:
    'Shows under which licence each repository was offered, commit by commit: what the card states, what it is in SPDX form, what each LICENSE text really is, and where the two contradict each other. --diff shows how the texts changed. --receipt prints one JSON statement of which licence covered which SHA-256s when they were archived: evidence, not legal advice.',
  arguments: [{ name: '[repo]', description: 'owner/name; with --receipt also owner/name@commit; all when left out' }],
  options: [
    { flags: '--diff', description: 'the differences of the licence texts, as a patch' },
    { flags: '--receipt', description: 'one JSON statement for the newest commit, or the one after @' },
    { flags: '--limit <count>', description: `at most so many commits, the newest (${COMMITS})` },
  ],
  examples: [
    'weightvault licenses',
    'weightvault licenses Qwen/Qwen3.5-4B --diff',
    'weightvault licenses Qwen/Qwen3.5-4B --receipt',
  ],
  exits: [9],
  run: licenses,
}

async function licenses(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const [name] = input.arguments
  const isReceipt = flagOption(input, 'receipt')
  const isDiff = flagOption(input, 'diff')
  const limit = countOption(input, 'limit', 1) ?? COMMITS
  if (isReceipt && isDiff) throw usage('--diff and --receipt exclude each other')
  if (name === undefined && (isReceipt || isDiff)) {
    throw usage(`--${isDiff ? 'diff' : 'receipt'} is for one repository`, 'name it: weightvault licenses owner/name')
  }
  const argument = name === undefined ? undefined : readRepo(name)
  const archive = await context.openArchive('read')
  if (argument === undefined) return overview(archive, context.signal)
  if (isReceipt) {
    const { row, snapshot } = await findSnapshot(archive, argument)
    const license = await archive.catalog.licenses.entryOf(snapshot.snapshotId)
    const json = () => receiptText(archive, { row, snapshot, license }, context.signal)
    return {
      exitCode: 0,
      json,
      async *text() {
        for await (const piece of json()) yield escapeControls(piece)
      },
    }
  }
  const row = await findRepo(archive, argument.ref)
  const rows = await archive.catalog.licenses.history(row.repoId, limit)
  return timeline(archive, { row, rows, isDiff }, context.signal)
}

/** Every repository with its newest licence. */
function overview(archive: Pick<OpenedArchive, 'catalog'>, signal: AbortSignal): Outcome {
  const page = { after: undefined, limit: Infinity, withSnapshots: false }
  async function* newest(): AsyncIterable<{ repo: RepoRow; entry: LicenseRow | undefined }> {
    for await (const repo of eachRepo(archive.catalog, {}, page, signal)) {
      const { newest: head } = repo
      yield { repo, entry: head === undefined ? undefined : await archive.catalog.licenses.entryOf(head.snapshotId) }
    }
  }
  async function* elements(): AsyncIterable<unknown> {
    for await (const { repo, entry } of newest()) {
      yield { repo: printRepo(repo.ref), ...(entry === undefined ? {} : await licenseJson(archive, entry)) }
    }
  }
  return {
    exitCode: 0,
    json: () => jsonObject({}, [{ key: 'repos', elements: elements() }]),
    async *text(screen) {
      const rows: { repo: RepoRow; entry: LicenseRow | undefined }[] = []
      for await (const row of newest()) rows.push(row)
      if (rows.length === 0) yield 'The archive knows no repository yet. "weightvault sync" polls and fetches.'
      else yield renderTable(overviewColumns(screen), rows, screen.columns, screen.palette.faint)
    },
  }
}

function overviewColumns({ palette }: Screen): Column<{ repo: RepoRow; entry: LicenseRow | undefined }>[] {
  return [
    { header: 'REPO', text: ({ repo }) => printRepo(repo.ref), minWidth: 30, shorten: 'middle' },
    { header: 'STATED', text: ({ repo }) => effectiveLicense(repo.license) ?? '-', minWidth: 12, shorten: 'end' },
    {
      header: 'SPDX',
      text: ({ entry }) => entry?.form?.expression ?? '-',
      minWidth: 12,
      shorten: 'end',
      paint: ({ entry }) => (entry?.form?.kind === 'permissive' ? palette.good : palette.attention),
    },
    {
      header: 'TEXT',
      text: ({ entry }) => (entry === undefined ? '-' : readsText(entry)),
      minWidth: 16,
      shorten: 'end',
      paint: ({ entry }) => (entry !== undefined && contradictionsOf(entry).length > 0 ? palette.bad : palette.faint),
    },
  ]
}

function timeline(
  archive: Pick<OpenedArchive, 'catalog' | 'blobs'>,
  { row, rows, isDiff }: { row: RepoRow; rows: readonly LicenseRow[]; isDiff: boolean },
  signal: AbortSignal,
): Outcome {
  async function* elements(): AsyncIterable<unknown> {
    for (const entry of rows) yield await licenseJson(archive, entry)
  }
  const diffs = () => licenseTextChanges(archive, rows, signal)
  return {
    exitCode: 0,
    json: () =>
      jsonObject({ repo: printRepo(row.ref) }, [
        { key: 'licenses', elements: elements() },
        ...(isDiff ? [{ key: 'diffs', elements: diffs() }] : []),
      ]),
    async *text(screen) {
      yield timelineText(row, rows, screen)
      if (!isDiff) return
      let found = 0
      for await (const change of diffs()) {
        found += 1
        yield `\n\n${change.diff === null ? noDiffText(change.path) : paintPatch(change.diff, screen)}`
      }
      if (found === 0) yield '\n\nNo licence text changed between these commits.'
    },
  }
}

function noDiffText(path: string): string {
  return `${displayName(path)}: changed, but a text is not held, too long or too different to be compared line by line.`
}

/** Commits that say the same as the one before them are counted, not repeated. */
function timelineText(row: RepoRow, rows: readonly LicenseRow[], screen: Screen): string {
  const { palette, nowMs } = screen
  const title = palette.strong(palette.name(printRepo(row.ref)))
  if (rows.length === 0) return `${title}\n  no commit of it has been listed yet`
  const states: { newest: LicenseRow; oldest: LicenseRow; commits: number }[] = []
  for (const entry of rows) {
    const last = states.at(-1)
    if (last !== undefined && stateText(last.oldest) === stateText(entry)) {
      last.oldest = entry
      last.commits += 1
    } else states.push({ newest: entry, oldest: entry, commits: 1 })
  }
  const lines = states.flatMap(({ newest, oldest, commits }) => [
    `  ${palette.faint(oldest.at)} ${oldest.commit.slice(0, 10)} ${palette.faint(`(${ago(oldest.at, nowMs)}, ${counted(commits, 'commit')})`)}`,
    ...describe(newest, screen).map((line) => `    ${line}`),
  ])
  return [title, ...lines].join('\n')
}

function describe(entry: LicenseRow, { palette }: Screen): string[] {
  const { license, license_name, license_link } = entry.stated
  const stated = [license, license_name].filter((word) => word !== undefined).join(': ')
  const link = license_link === undefined ? '' : ` <${license_link}>`
  const form = entry.form
  const paint = form?.kind === 'permissive' ? palette.good : palette.attention
  const lines = [
    `card    ${displayName(`${stated === '' ? 'states none' : stated}${link}`)}`,
    `SPDX    ${paint(form === undefined ? 'none' : `${form.expression} (${form.kind})`)}`,
  ]
  for (const { path, sha256, reading, role } of entry.files) {
    if (role === 'card') continue
    const reads = reading === undefined || reading.role === 'card' ? unreadText(sha256) : matchText(reading.match)
    lines.push(`text    ${displayName(path)}: ${reads} ${palette.faint((sha256 ?? '').slice(0, 12))}`)
  }
  for (const file of contradictionsOf(entry)) {
    lines.push(palette.bad(`contradiction: the card and ${displayName(file.path)} are different licences`))
  }
  if (entry.baseModels.length > 0) lines.push(`base    ${displayName(entry.baseModels.join(', '))}`)
  if (entry.gateTerms !== undefined) lines.push('gate    has terms of its own (--json shows them)')
  return lines
}

/** Bytes that are there are read with the next pass. */
function unreadText(sha256: string | undefined): string {
  return sha256 === undefined ? 'not held' : 'not read yet'
}

function readsText(entry: LicenseRow): string {
  const texts = entry.files.flatMap(({ role, reading, sha256 }) => {
    if (role !== 'license') return []
    return reading?.role === 'license' ? [matchText(reading.match)] : [unreadText(sha256)]
  })
  return texts.length === 0 ? 'none' : [...new Set(texts)].join(', ')
}

/** Everything that `describe` shows. */
function stateText(entry: LicenseRow): string {
  const files = entry.files.filter(({ role }) => role !== 'card').map(({ path, sha256 }) => [path, sha256])
  return JSON.stringify([entry.stated, entry.form, entry.baseModels, entry.gateTerms, files])
}

function paintPatch(patch: string, { palette }: Screen): string {
  const lines = harmless(patch.trimEnd()).split('\n')
  return lines
    .map((line) => {
      if (line.startsWith('+')) return palette.good(line)
      return line.startsWith('-') ? palette.bad(line) : line
    })
    .join('\n')
}
