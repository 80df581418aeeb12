import { ArchiveError } from '../domain/errors.ts'
import { printRepo } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { QueueRow } from '../work-rows.ts'
import { ago, counted, formatCount } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { countOption, readRepo, type CommandInput } from './command-input.ts'
import { findRepo } from './find-repo.ts'
import type { CommandGroup } from './program.ts'
import { renderTable, type Column } from './table.ts'

const ROWS_FOR_PEOPLE = 50

const listQueue: Command = {
  name: 'queue ls',
  summary: 'the next downloads, in order',
  description: 'Shows the downloads in the order in which they will run, and what holds them back.',
  options: [{ flags: '--limit <count>', description: `at most so many (${ROWS_FOR_PEOPLE})` }],
  examples: ['weightvault queue', 'weightvault queue ls --limit 500 --json'],
  exits: [9],
  run: list,
}

const pauseQueue: Command = {
  name: 'queue pause',
  summary: 'start no more downloads; polling goes on',
  description: 'Stops downloads until "weightvault queue resume", also after a restart. Watching and listing go on.',
  examples: ['weightvault queue pause'],
  exits: [9],
  run: (context) => setPaused(context, true),
}

const resumeQueue: Command = {
  name: 'queue resume',
  summary: 'go on after a pause',
  description: 'Lets downloads start again.',
  examples: ['weightvault queue resume'],
  exits: [9],
  run: (context) => setPaused(context, false),
}

const bumpRepo: Command = {
  name: 'queue bump',
  summary: 'put a repository in front',
  description: 'Downloads of this repository run before all others.',
  arguments: [{ name: '<repo>', description: 'owner/name' }],
  examples: ['weightvault queue bump Qwen/Qwen3.5-397B-A17B'],
  exits: [9],
  run: bump,
}

/** `weightvault queue [pause|resume|bump REPO]` */
export const queueGroup: CommandGroup = {
  name: 'queue',
  summary: 'the downloads: show, pause, resume, put in front',
  description: 'Shows or steers the downloads. Without a word: the list.',
  commands: [listQueue, pauseQueue, resumeQueue, bumpRepo],
}

async function list(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const limit = countOption(input, 'limit', 1) ?? ROWS_FOR_PEOPLE
  const archive = await context.openArchive('read')
  const [rows, totals, paused] = await Promise.all([
    archive.catalog.queue({ limit }),
    archive.catalog.totals(),
    archive.catalog.isPaused(),
  ])
  const data = {
    paused,
    ready: totals.jobsReady,
    heldBack: totals.jobsHeld,
    running: totals.jobsLeased,
    failed: totals.jobsFailed,
    bytes: totals.bytesQueued,
    jobs: rows.map(jobJson),
  }
  return outcome(data, (screen) => {
    const { palette } = screen
    const all = totals.jobsReady + totals.jobsHeld + totals.jobsLeased + totals.jobsFailed
    const total = `${counted(Math.max(all, rows.length), 'download')}, ${formatSize(totals.bytesQueued)}; ${formatCount(totals.jobsHeld)} held back${paused ? `; ${palette.attention('paused')}` : ''}`
    if (rows.length === 0) return paused ? 'The queue is empty, and paused.' : 'The queue is empty.'
    const table = renderTable(queueColumns(screen), rows, screen.columns, palette.faint)
    return `${table}\n\n${palette.strong(total)}`
  })
}

async function setPaused(context: CommandContext, paused: boolean): Promise<Outcome> {
  const archive = await context.openArchive('auto')
  mustReachQueue(archive)
  if (archive.service === undefined) await archive.catalog.setPaused(paused)
  else await archive.service.request(paused ? 'queue.pause' : 'queue.resume', {}, context.signal)
  const sentence = paused ? 'Downloads are paused; "weightvault queue resume" goes on.' : 'Downloads go on.'
  return outcome({ paused, service: archive.service !== undefined }, () => sentence)
}

async function bump(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const { ref } = readRepo(input.arguments[0]!)
  const archive = await context.openArchive('auto')
  mustReachQueue(archive)
  const row = await findRepo(archive, ref)
  const repo = printRepo(row.ref)
  const moved =
    archive.service === undefined
      ? await archive.catalog.bump(row.repoId)
      : movedOf(await archive.service.request('queue.bump', { repo }, context.signal))
  return outcome({ repo, moved: moved ?? null }, () =>
    moved === 0 ? `${repo} has nothing to download.` : `${repo} is in front of the queue.`,
  )
}

/** The queue is changed by the service, or here where nobody else writes; a pass of another process can be asked nothing. */
export function mustReachQueue(archive: OpenedArchive): void {
  if (archive.writable || archive.service !== undefined) return
  if (archive.refusal !== undefined && archive.refusal.code !== 'ARCHIVE_LOCKED') throw archive.refusal
  throw new ArchiveError('ARCHIVE_LOCKED', 'another process works on this archive, and it takes no commands', {
    hint: 'nothing was changed; wait until that "sync" has ended, or run the service instead',
  })
}

/** The service answers with the number, alone or as `moved`; an older one may not tell. */
function movedOf(answer: unknown): number | undefined {
  if (typeof answer === 'number') return answer
  const moved = typeof answer === 'object' && answer !== null && 'moved' in answer ? answer.moved : undefined
  return typeof moved === 'number' ? moved : undefined
}

function jobJson(row: QueueRow): unknown {
  const { commit, path, size, state, hold, attempts, nextTryAt, lastCode } = row
  const job = { repo: printRepo(row.ref), commit, path, size, state, hold, attempts }
  return { ...job, nextTryAt: nextTryAt ?? null, lastCode: lastCode ?? null }
}

function queueColumns(screen: Screen): Column<QueueRow>[] {
  const { palette, nowMs } = screen
  return [
    { header: 'REPO', text: (row) => printRepo(row.ref), minWidth: 24, shorten: 'middle', paint: () => palette.name },
    { header: 'PATH', text: (row) => row.path, minWidth: 26, shorten: 'middle' },
    { header: 'SIZE', align: 'right', text: (row) => formatSize(row.size) },
    {
      header: 'STATE',
      text: stateText,
      paint: (row) =>
        row.state === 'leased' ? palette.good : row.hold === 'none' ? (text) => text : palette.attention,
    },
    { header: 'TRIES', align: 'right', text: (row) => String(row.attempts), dropRank: 1 },
    { header: 'LAST ERROR', text: (row) => row.lastCode ?? '-', dropRank: 3 },
    {
      header: 'NEXT TRY',
      align: 'right',
      text: (row) => (row.state === 'waiting' ? ago(row.nextTryAt, nowMs) : '-'),
      dropRank: 2,
    },
  ]
}

function stateText(row: QueueRow): string {
  if (row.state === 'leased') return 'running'
  return row.hold === 'none' ? row.state : `held: ${row.hold}`
}
