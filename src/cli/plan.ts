import type { HoldReason } from '../domain/decision.ts'
import { printRepo } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { PlanRow, PlanTotals } from '../work-rows.ts'
import { ago, counted } from './ago.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import { countOption, flagOption, type CommandInput } from './command-input.ts'
import { groupDetail } from './group-detail.ts'
import { holdOfFile, holdSentence } from './hold-sentence.ts'
import { jsonObject } from './json-pieces.ts'
import type { Paint } from './palette.ts'
import { eachPlanRow } from './read-pages.ts'
import { renderTable, type Column } from './table.ts'

const GROUPS_FOR_PEOPLE = 25
const CHANGES_FOUND = 20

/** `weightvault plan` */
export const planCommand: Command = {
  name: 'plan',
  summary: 'what would be fetched and what not, and why; downloads nothing',
  description:
    'Polls what is due (unless --offline), then shows what would be fetched and what is skipped, with the reason, the bytes, and whether it fits the budget. Downloads nothing.',
  options: [
    { flags: '--offline', description: 'do not poll: plan from what the archive knows' },
    { flags: '--check', description: 'exit 20 when there is something to fetch' },
    { flags: '--limit <count>', description: `at most so many lines of each part, for people (${GROUPS_FOR_PEOPLE})` },
  ],
  examples: ['weightvault plan', 'weightvault plan --offline --json', 'weightvault plan --check || weightvault sync'],
  exits: [8, 9, 20],
  run: plan,
}

async function plan(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const limit = countOption(input, 'limit', 1) ?? GROUPS_FOR_PEOPLE
  const isOffline = flagOption(input, 'offline')
  const archive = await context.openArchive('auto')
  if (!isOffline) await pollIfDue(context, archive)
  if (archive.writable) {
    const { replan } = await import('../pipeline/run-pass.ts')
    await replan(archive, context.progress(), context.signal)
  }
  const totals = await archive.catalog.planTotals()
  const fitsBudget = totals.filesHeldBack === 0
  const isSomethingToFetch = totals.filesToFetch > 0
  return {
    exitCode: flagOption(input, 'check') && isSomethingToFetch ? CHANGES_FOUND : 0,
    json: () => {
      const rows = (taken: boolean): AsyncIterable<unknown> => jsonRows(archive, taken, context.signal)
      const arrays = [
        { key: 'take', elements: rows(true) },
        { key: 'skip', elements: rows(false) },
      ]
      return jsonObject({}, arrays, () => ({ ...totals, fitsBudget }))
    },
    async *text(screen) {
      yield await planText(archive, totals, limit, screen, context.signal)
    },
  }
}

/** Asks the Hub when any watch's last poll is older than its `every`. Beside a running service, which polls by itself: not. */
async function pollIfDue(context: CommandContext, archive: OpenedArchive): Promise<void> {
  const states = new Map((await archive.catalog.watchStates()).map((state) => [state.watch, state.lastOkAt]))
  const nowMs = archive.clock.now()
  const isDue = archive.settings.watches.some((watch) => {
    const last = states.get(watch.key)
    return last === undefined || nowMs - Date.parse(last) >= watch.everyMs
  })
  if (!isDue) return
  if (!archive.writable) {
    const isDisk = archive.refusal !== undefined && archive.refusal.code !== 'ARCHIVE_LOCKED'
    const other =
      archive.service === undefined
        ? 'not polled: another command works in the archive'
        : 'the running service polls by itself'
    const reason = isDisk ? `not polled: ${archive.refusal.message}` : other
    context.note(`${reason}; this plan is what is known`)
    return
  }
  const { refreshPlan } = await import('../pipeline/run-pass.ts')
  await refreshPlan(archive, context.progress(), context.signal)
}

async function* jsonRows(archive: OpenedArchive, taken: boolean, signal: AbortSignal): AsyncIterable<unknown> {
  for await (const row of eachPlanRow(archive.catalog, taken, signal)) {
    const { commit, path, size, reason, detail } = row
    const hold = taken ? holdOfFile(row.hold, reason) : 'none'
    yield { repo: printRepo(row.ref), commit, path, size, reason, detail, hold, nextTryAt: row.nextTryAt ?? null }
  }
}

interface PlanGroup {
  readonly repo: string
  readonly row: PlanRow
  readonly hold: HoldReason
  readonly reasons: Set<string>
  /** When the first of its files is tried again, where all of them failed before and wait; undefined: now, or when it is not held back any more. */
  nextTryAt: string | undefined
  /** Whether the files' own sentences differ. */
  isMixed: boolean
  files: number
  bytes: number
}

async function planText(
  archive: OpenedArchive,
  totals: PlanTotals,
  limit: number,
  screen: Screen,
  signal: AbortSignal,
): Promise<string> {
  const { palette } = screen
  const parts = [await headText(archive, totals, screen)]
  for (const taken of [true, false]) {
    const rows = eachPlanRow(archive.catalog, taken, signal)
    const { groups, isCut } = await groupRows(rows, taken, { limit, nowMs: screen.nowMs })
    if (groups.length === 0) continue
    const title = palette.strong(taken ? 'To fetch' : 'Skipped')
    const table = renderTable(planColumns(taken, screen), groups, screen.columns, palette.faint)
    const more = isCut ? `\n${palette.attention('more:')} --limit ${limit * 10}, or --json for everything` : ''
    parts.push(`${title}\n${table}${more}${holdNotes(groups, palette.faint)}`)
  }
  return parts.join('\n\n')
}

/** What each hold in the table means, once. */
function holdNotes(groups: readonly PlanGroup[], paint: Paint): string {
  const holds = new Set(groups.map((group) => group.hold).filter((hold) => hold !== 'none'))
  return [...holds].map((hold) => `\n${paint(`held: ${hold}`)} means: ${holdSentence(hold)}`).join('')
}

async function headText(archive: OpenedArchive, totals: PlanTotals, screen: Screen): Promise<string> {
  const { palette, nowMs } = screen
  const { settings } = archive
  const free = await archive.blobs.freeBytes()
  const watched = new Set(settings.watches.map(({ key }) => key))
  const states = (await archive.catalog.watchStates()).filter(({ watch }) => watched.has(watch))
  const oldest = states.reduce<string | undefined>((least, { lastOkAt }) => earlier(least, lastOkAt), undefined)
  const toFetch =
    totals.filesToFetch === 0
      ? 'Nothing to fetch now'
      : `${counted(totals.filesToFetch, 'file')}, ${formatSize(totals.bytesToFetch)} to fetch`
  const heldBack =
    totals.filesHeldBack === 0
      ? palette.good('it fits the budget')
      : palette.attention(
          `${counted(totals.filesHeldBack, 'file')}, ${formatSize(totals.bytesHeldBack)} wanted beside that do not fit`,
        )
  if (
    oldest === undefined &&
    totals.filesToFetch + totals.filesHeldBack + totals.filesSkipped + totals.bytesHeld === 0
  ) {
    return 'Nothing is known yet: no watch has been polled. "weightvault plan" asks the Hub.'
  }
  const isNothing = totals.filesToFetch + totals.filesHeldBack === 0
  return [
    isNothing ? palette.strong('Nothing to fetch.') : `${palette.strong(toFetch)}; ${heldBack}.`,
    `Held ${formatSize(totals.bytesHeld)} of a budget of ${formatSize(settings.budgetBytes)}; disk ${formatSize(free)} free, reserve ${formatSize(settings.reserveBytes)}.`,
    `Skipped by policy: ${counted(totals.filesSkipped, 'file')}, ${formatSize(totals.bytesSkipped)}.`,
    palette.faint(watched.size === 0 ? 'Nothing is watched.' : `Last poll ${ago(oldest, nowMs)}.`),
  ].join('\n')
}

function earlier(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a
}

/** What is taken of a commit becomes one line, what is skipped one line a reason. Reads only as far as lines are shown. */
async function groupRows(
  rows: AsyncIterable<PlanRow>,
  taken: boolean,
  { limit, nowMs }: { limit: number; nowMs: number },
): Promise<{ groups: PlanGroup[]; isCut: boolean }> {
  const groups = new Map<string, PlanGroup>()
  for await (const row of rows) {
    const repo = printRepo(row.ref)
    const hold = holdOfFile(row.hold, row.reason)
    const nextTryAt = isAhead(row.nextTryAt, nowMs) ? row.nextTryAt : undefined
    const key = `${repo} ${row.commit} ${hold} ${nextTryAt !== undefined} ${taken ? '' : row.reason}`
    const group = groups.get(key)
    if (group === undefined) {
      if (groups.size >= limit) return { groups: [...groups.values()], isCut: true }
      groups.set(key, {
        repo,
        row,
        hold,
        nextTryAt,
        reasons: new Set([row.reason]),
        isMixed: false,
        files: 1,
        bytes: row.size,
      })
    } else {
      group.files += 1
      group.bytes += row.size
      if (row.detail !== group.row.detail) group.isMixed = true
      group.reasons.add(row.reason)
      group.nextTryAt = earlier(group.nextTryAt, nextTryAt)
    }
  }
  return { groups: [...groups.values()], isCut: false }
}

function isAhead(at: string | undefined, nowMs: number): boolean {
  return at !== undefined && Date.parse(at) > nowMs
}

function whenText({ hold, nextTryAt }: PlanGroup, nowMs: number): string {
  if (hold !== 'none') return `held: ${hold}`
  return nextTryAt === undefined ? 'now' : `failed, again ${ago(nextTryAt, nowMs)}`
}

function planColumns(taken: boolean, screen: Screen): Column<PlanGroup>[] {
  const { palette } = screen
  const columns: Column<PlanGroup>[] = [
    { header: 'REPO', text: (group) => group.repo, minWidth: 24, shorten: 'middle', paint: () => palette.name },
    { header: 'COMMIT', text: (group) => group.row.commit.slice(0, 10), dropRank: 2 },
    { header: 'FILES', align: 'right', text: (group) => String(group.files) },
    { header: 'SIZE', align: 'right', text: (group) => formatSize(group.bytes) },
    { header: 'REASON', text: (group) => [...group.reasons].sort().join(', '), ...(taken ? { minWidth: 12 } : {}) },
  ]
  if (!taken)
    return [
      ...columns,
      {
        header: 'WHY',
        text: (group) => groupDetail(group.row.reason, group.row.detail, group.isMixed),
        minWidth: 24,
        dropRank: 1,
      },
    ]
  return [
    ...columns,
    {
      header: 'WHEN',
      text: (group) => whenText(group, screen.nowMs),
      paint: ({ hold, nextTryAt }) => (hold === 'none' && nextTryAt === undefined ? palette.good : palette.attention),
    },
  ]
}
