import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { isOwnerOrName, parseRepoArgument, printRepo, splitRepoName, type RepoName } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { RescueRow } from '../work-rows.ts'
import { ago, counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import type { CommandInput } from './command-input.ts'
import { findRepo } from './find-repo.ts'
import { mustReachQueue } from './queue.ts'
import { paintOfUpstream } from './state-paint.ts'
import { renderTable, type Column } from './table.ts'

const ROWS_FOR_PEOPLE = 50
const ROWS_FOR_SCRIPTS = 100_000
const REPOS_PER_PAGE = 500

/** `weightvault rescue [OWNER|REPO]` */
export const rescueCommand: Command = {
  name: 'rescue',
  summary: 'put an endangered repository or owner in front, old commits and all',
  description:
    'Moves a repository, or everything of an organisation or user, to the front of the queue, looks for old commits that the Hub still shows, and says how much is still missing. Gates, losses, disabled repositories, licences that become restrictive, purged bytes and silent organisations start a rescue by themselves. Without a name: the rescues so far.',
  arguments: [{ name: '[target]', description: 'owner/name, or an organisation or user' }],
  examples: ['weightvault rescue Qwen', 'weightvault rescue Qwen/Qwen3.5-4B', 'weightvault rescue --json'],
  exits: [8, 9],
  run: rescue,
}

async function rescue(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const [target] = input.arguments
  if (target === undefined) {
    const archive = await context.openArchive('read')
    return report(await archive.catalog.rescues({ pendingOnly: false, limit: ROWS_FOR_SCRIPTS }))
  }
  const archive = await context.openArchive('auto')
  mustReachQueue(archive)
  const repoIds = new Set(await targetRepos(archive, target))
  if (archive.service === undefined) await rescueHere(context, archive, [...repoIds])
  else await archive.service.request('rescue', { repos: [...repoIds] }, context.signal)
  const rows = await archive.catalog.rescues({ pendingOnly: false, limit: ROWS_FOR_SCRIPTS })
  return report(rows.filter((row) => repoIds.has(row.repoId)))
}

/** Without a service nobody else would look for old commits. */
async function rescueHere(context: CommandContext, archive: OpenedArchive, repoIds: readonly number[]): Promise<void> {
  const { bindProgress } = await import('../pipeline/run-pass.ts')
  const { askRescue, continueRescues } = await import('../pipeline/rescue-repos.ts')
  const { scheduleJobs } = await import('../pipeline/schedule-jobs.ts')
  const deps = bindProgress(archive, context.progress())
  await askRescue(archive, repoIds)
  for (let left = Number.POSITIVE_INFINITY; ;) {
    const now = await continueRescues(deps, context.signal)
    // An outage: the next pass goes on.
    if (now === 0 || now >= left) break
    left = now
  }
  await scheduleJobs(deps, undefined)
}

/** Ids of the repositories that a person means. @throws ArchiveError USAGE, REPO_UNKNOWN */
async function targetRepos(archive: OpenedArchive, target: string): Promise<number[]> {
  const argument = parseRepoArgument(target)
  if (argument !== undefined) return [(await findRepo(archive, argument.ref)).repoId]
  const shown = displayName(target.slice(0, 100))
  if (!isOwnerOrName(target)) {
    throw new ArchiveError('USAGE', `"${shown}" is neither owner/name nor the name of an organisation or user`, {
      hint: 'for example: weightvault rescue Qwen',
    })
  }
  const ids: number[] = []
  let after: RepoName | undefined
  for (;;) {
    const page = { after, limit: REPOS_PER_PAGE, withSnapshots: false }
    const rows = await archive.catalog.listRepos({ text: `${target}/` }, page)
    const owned = rows.filter((row) => splitRepoName(row.ref.name).owner.toLowerCase() === target.toLowerCase())
    ids.push(...owned.map((row) => row.repoId))
    if (rows.length < REPOS_PER_PAGE) break
    after = rows.at(-1)?.ref.name
  }
  if (ids.length > 0) return ids
  throw new ArchiveError('REPO_UNKNOWN', `the archive knows no repository of ${shown}`, {
    hint: `"weightvault watch add ${shown}" and "weightvault sync" make it known`,
  })
}

function report(rows: readonly RescueRow[]): Outcome {
  const missingBytes = rows.reduce((sum, row) => sum + row.missingBytes, 0)
  const missingFiles = rows.reduce((sum, row) => sum + row.missingFiles, 0)
  const data = { missingBytes, missingFiles, rescues: rows.map(rescueJson) }
  return outcome(data, (screen) => {
    if (rows.length === 0) return 'Nothing is being rescued.'
    const { palette } = screen
    const table = renderTable(columns(screen), rows.slice(0, ROWS_FOR_PEOPLE), screen.columns, palette.faint)
    const more = rows.length - ROWS_FOR_PEOPLE
    const rest =
      more > 0 ? `\n${palette.attention('more:')} ${counted(more, 'repository', 'repositories')} (--json)` : ''
    return `${table}${rest}\n\n${palette.strong(totalText(missingFiles, missingBytes))}`
  })
}

function totalText(files: number, bytes: number): string {
  if (files === 0) return 'Nothing wanted is missing.'
  return `Still missing: ${counted(files, 'file')}, ${formatSize(bytes)}; a running service fetches them first, and so does "weightvault sync".`
}

function rescueJson(row: RescueRow): unknown {
  const { upstream, cause, askedAt, commitsTried, commitsFound, missingFiles, missingBytes } = row
  const repo = printRepo(row.ref)
  const doneAt = row.doneAt ?? null
  return { repo, upstream, cause, askedAt, commitsTried, commitsFound, doneAt, missingFiles, missingBytes }
}

function columns(screen: Screen): Column<RescueRow>[] {
  const { palette, nowMs } = screen
  return [
    { header: 'REPO', text: (row) => printRepo(row.ref), minWidth: 24, shorten: 'middle', paint: () => palette.name },
    { header: 'UPSTREAM', text: (row) => row.upstream, paint: (row) => paintOfUpstream(row.upstream, palette) },
    { header: 'BECAUSE', text: (row) => row.cause },
    { header: 'SINCE', align: 'right', text: (row) => ago(row.askedAt, nowMs), dropRank: 2 },
    {
      header: 'OLD COMMITS',
      align: 'right',
      text: (row) => (row.doneAt === undefined ? 'to be looked for' : `${row.commitsFound} of ${row.commitsTried}`),
      dropRank: 1,
    },
    {
      header: 'MISSING',
      align: 'right',
      text: (row) => (row.missingFiles === 0 ? 'nothing' : formatSize(row.missingBytes)),
      paint: (row) => (row.missingFiles === 0 ? palette.good : palette.attention),
    },
  ]
}
