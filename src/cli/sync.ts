import { displayName } from '../domain/file-name.ts'
import { formatSize } from '../lib/units.ts'
import type { PassResult } from '../opened-archive.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { flagOption, readRepo, usage, type CommandInput } from './command-input.ts'
import { deliverAtEnd } from './deliver-at-end.ts'

const FAILURES_FOR_PEOPLE = 50

/** `weightvault sync [REPO…]` */
export const syncCommand: Command = {
  name: 'sync',
  summary: 'one full pass of the work, then exit (for cron)',
  description:
    'Polls every watch, lists new commits, fetches what the policy wants and the budget allows, verifies and seals it, then exits. With repositories: only these. What an interrupted pass fetched is kept.',
  arguments: [{ name: '[repo...]', description: 'owner/name; everything that is watched when left out' }],
  options: [{ flags: '--check', description: 'poll and list only; exit 20 when there is something new' }],
  examples: ['weightvault sync', 'weightvault sync Qwen/Qwen3-0.6B', 'weightvault sync --check --json'],
  exits: [8, 9, 10, 20, 130],
  isWork: true,
  listsFailures: true,
  run: sync,
}

async function sync(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const repos = input.arguments.map((word) => {
    const argument = readRepo(word)
    if (argument.revision === undefined) return argument.ref
    throw usage(`sync fetches the newest commit: leave ${JSON.stringify(`@${argument.revision}`)} away`)
  })
  const checkOnly = flagOption(input, 'check')
  const archive = await context.openArchive('write')
  const { runPass } = await import('../pipeline/run-pass.ts')
  const pass = runPass(archive, { repos, checkOnly }, context.progress(), context.signal)
  const result = await deliverAtEnd(context, archive, pass)
  return outcome(
    { ...result, stoppedBy: result.stoppedBy ?? null },
    (screen) => syncText(result, checkOnly, screen),
    exitCodeOf(result, checkOnly),
  )
}

/** The worst thing that happened decides: failures, then what stopped the pass, then changes found by --check. */
function exitCodeOf(result: PassResult, checkOnly: boolean): number {
  if (result.failed.length > 0) return 8
  if (!checkOnly && result.stoppedBy === 'reserve') return 9
  if (!checkOnly && result.stoppedBy === 'budget') return 10
  return checkOnly && result.changes > 0 ? 20 : 0
}

function syncText(result: PassResult, checkOnly: boolean, screen: Screen): string {
  const { palette } = screen
  const failures = result.failed.slice(0, FAILURES_FOR_PEOPLE).map((failure) => {
    const file = failure.path === '' ? '' : ` ${displayName(failure.path)}`
    return `${palette.bad('failed')}    ${displayName(failure.repo)}${file}: ${displayName(failure.message)} (${failure.code})`
  })
  if (result.failed.length > failures.length)
    failures.push(`… and ${result.failed.length - failures.length} more (--json)`)
  const polled = `${counted(result.polled, 'watch', 'watches')} polled, ${counted(result.newEvents, 'new event')}`
  const changed = counted(result.changes, 'new or moved commit')
  const fetched = `${counted(result.fetchedFiles, 'file')}, ${formatSize(result.fetchedBytes)} fetched, ${counted(result.sealed.length, 'snapshot')} sealed`
  const summary = checkOnly ? `${polled}, ${changed}; nothing fetched (--check)` : `${polled}; ${fetched}`
  const stopped = result.stoppedBy === undefined ? [] : [palette.attention(STOP_SENTENCES[result.stoppedBy])]
  return [...failures, palette.strong(summary), ...stopped].join('\n')
}

const STOP_SENTENCES: Readonly<Record<NonNullable<PassResult['stoppedBy']>, string>> = {
  budget: 'The budget is reached: larger work waits. Raise budget.total; "weightvault plan" shows what waits.',
  reserve: 'What waits does not fit on the disk without touching budget.reserve: free some space, or lower it.',
  window: 'Large files wait for budget.window.',
  paused: 'Downloads are paused: "weightvault queue resume".',
}
