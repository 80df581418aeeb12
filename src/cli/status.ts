import type { ArchiveWriter, CatalogTotals } from '../archive-rows.ts'
import { DAMAGE_EVENTS, damageSeen, type DamageSeen } from '../domain/open-damage.ts'
import { displayName } from '../domain/file-name.ts'
import { formatDuration, formatRate, formatSize } from '../lib/units.ts'
import type { ActivityReport } from '../pipeline/activity.ts'
import { measureStored } from '../pipeline/disk-room.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { WatchState } from '../watch-rows.ts'
import { ago, counted, formatCount } from './ago.ts'
import { channelColumns, channelsJson, readChannelRows, type ChannelRow } from './channel-rows.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { harmless } from './printer.ts'
import { readActivity } from './read-activity.ts'
import { renderTable } from './table.ts'
import { watchColumns, type WatchRow } from './watch-columns.ts'

const WATCHES_FOR_PEOPLE = 30
const ACTIVE_FOR_PEOPLE = 10
/** Events of damage that are counted. */
const MAX_DAMAGE_READ = 1000

/** `weightvault status` */
export const statusCommand: Command = {
  name: 'status',
  summary: 'the service at a glance: queue, rate, polls, budget, oldest verified byte',
  description:
    'Shows whether the service runs and what it does now, the queue, the last poll of each watch with its error, budget and disk, and when the longest unverified byte was last proven.',
  examples: ['weightvault status', 'weightvault status --json'],
  exits: [9],
  run: status,
}

interface Status {
  readonly activity: ActivityReport | undefined
  /** Who writes in the archive: the service, or another command. */
  readonly writer: ArchiveWriter | undefined
  readonly totals: CatalogTotals
  readonly watches: readonly WatchRow[]
  readonly isPaused: boolean
  readonly usedBytes: number
  readonly freeBytes: number
  readonly damage: DamageSeen
  readonly channels: readonly ChannelRow[]
}

async function status(context: CommandContext): Promise<Outcome> {
  const archive = await context.openArchive('read')
  const { catalog } = archive
  const [totals, states, isPaused, stored, activity, writer, damageEvents, channels] = await Promise.all([
    catalog.totals(),
    catalog.watchStates(),
    catalog.isPaused(),
    measureStored(archive, new Map()),
    readActivity(archive, context.signal),
    archive.writer(),
    catalog.events({ types: DAMAGE_EVENTS, limit: MAX_DAMAGE_READ }),
    readChannelRows(archive),
  ])
  const { usedBytes, freeBytes } = stored
  const watches = watchRows(archive, states)
  const damage = damageSeen(damageEvents)
  const found: Status = { activity, writer, totals, watches, isPaused, usedBytes, freeBytes, damage, channels }
  return outcome(statusJson(archive, found), (screen) => statusText(archive, found, screen))
}

/** Each watched entry with its state, and states of entries that are watched no more. */
export function watchRows(archive: Pick<OpenedArchive, 'settings'>, states: readonly WatchState[]): WatchRow[] {
  const byKey = new Map(states.map((state) => [state.watch, state]))
  return archive.settings.watches.map((entry) => ({ entry, state: byKey.get(entry.key) }))
}

function statusJson(archive: OpenedArchive, found: Status): unknown {
  const { activity, writer, totals, isPaused, usedBytes, freeBytes } = found
  const { settings } = archive
  return {
    archive: archive.root,
    service: activity === undefined ? { running: false } : { running: true, ...activity },
    writer: writer ?? null,
    queue: {
      paused: isPaused,
      ready: totals.jobsReady,
      heldBack: totals.jobsHeld,
      running: totals.jobsLeased,
      failed: totals.jobsFailed,
      bytes: totals.bytesQueued,
    },
    watches: found.watches.map(({ entry, state }) => ({
      watch: entry.key,
      everyMs: entry.everyMs,
      repos: state?.repos ?? 0,
      lastPollAt: state?.lastPollAt ?? null,
      lastOkAt: state?.lastOkAt ?? null,
      error:
        state?.lastErrorCode === undefined
          ? null
          : { code: state.lastErrorCode, message: state.lastErrorMessage ?? '' },
    })),
    budget: { usedBytes, totalBytes: settings.budgetBytes },
    disk: { freeBytes, reserveBytes: settings.reserveBytes },
    oldestVerifiedAt: totals.oldestVerifiedAt ?? null,
    damage: { ...found.damage, lastAt: found.damage.lastAt ?? null },
    channels: channelsJson(found.channels),
    totals,
  }
}

function statusText(archive: OpenedArchive, found: Status, screen: Screen): string {
  const { palette, nowMs } = screen
  const { totals, usedBytes, freeBytes } = found
  const { settings } = archive
  const share = settings.budgetBytes === 0 ? 100 : Math.round((usedBytes / settings.budgetBytes) * 100)
  const facts: [string, string][] = [
    ['service', serviceText(found, screen)],
    ['archive', harmless(archive.root)],
    [
      'holds',
      `${formatSize(totals.blobBytes)} in ${counted(totals.blobs, 'blob')}; ${counted(totals.repos, 'repository', 'repositories')}, ${formatCount(totals.sealedSnapshots)} of ${counted(totals.snapshots, 'snapshot')} sealed`,
    ],
    ['queue', queueText(found, screen)],
    ['budget', `${formatSize(usedBytes)} of ${formatSize(settings.budgetBytes)} used (${share} %)`],
    ['disk', diskText(freeBytes, settings.reserveBytes, screen)],
    ['verified', `least recently verified: ${ago(totals.oldestVerifiedAt, nowMs)}`],
    ...damageLines(found, screen),
    ['events', formatCount(totals.lastSeq)],
  ]
  const lines = facts.map(([name, value]) => `${palette.faint(name.padEnd(9))} ${value}`)
  const shown = found.watches.slice(0, WATCHES_FOR_PEOPLE)
  const table = renderTable(watchColumns(screen), shown, screen.columns, palette.faint)
  const more = found.watches.length - shown.length
  const watches = shown.length === 0 ? 'Nothing is watched.' : `${table}${more > 0 ? `\n… ${more} more` : ''}`
  return [...lines, ...activeLines(found.activity, screen), '', watches, ...channelLines(found, screen)].join('\n')
}

function channelLines({ channels }: Status, screen: Screen): string[] {
  if (channels.length === 0) return []
  return ['', renderTable(channelColumns(screen), channels, screen.columns, screen.palette.faint)]
}

function damageLines({ damage }: Status, { palette, nowMs }: Screen): [string, string][] {
  if (damage.found === 0) return []
  return [['damage', (damage.open === 0 ? palette.faint : palette.bad)(damageText(damage, nowMs))]]
}

/** How often damage was found, and what of it is left. */
export function damageText({ found, lastAt, open }: DamageSeen, nowMs: number): string {
  const text = `found ${counted(found, 'time')}, last ${ago(lastAt, nowMs)}`
  if (open === 0) return `${text}; all of it is repaired`
  return `${text}; ${counted(open, 'blob')} not repaired yet: "weightvault verify" says which`
}

function serviceText({ activity, writer }: Status, { palette, nowMs }: Screen): string {
  if (activity === undefined && writer !== undefined) {
    const since = `started ${ago(writer.startedAt, nowMs)}`
    const who = `process ${writer.pid} on ${displayName(writer.host)}, ${since}`
    return `${palette.attention('not running')}, but another command works in the archive (${who})`
  }
  if (activity === undefined) return `${palette.attention('not running')} ("weightvault run" starts it)`
  const since = `for ${formatDuration(Math.max(0, nowMs - Date.parse(activity.startedAt)))}`
  const waiting = activity.waiting === undefined ? '' : `; waiting: ${displayName(activity.waiting.reason)}`
  return `${palette.good('running')} ${since}, ${formatRate(activity.bytesPerSecond)}${waiting}`
}

function queueText({ totals, isPaused }: Status, { palette }: Screen): string {
  const parts = [
    `${formatCount(totals.jobsReady)} ready, ${formatCount(totals.jobsLeased)} running, ${formatCount(totals.jobsHeld)} held back`,
    totals.jobsFailed === 0 ? '' : palette.attention(`${formatCount(totals.jobsFailed)} failed before`),
    `${formatSize(totals.bytesQueued)} to fetch`,
    isPaused ? palette.attention('paused') : '',
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function diskText(freeBytes: number, reserveBytes: number, { palette }: Screen): string {
  const text = `${formatSize(freeBytes)} free, reserve ${formatSize(reserveBytes)}`
  return freeBytes <= reserveBytes ? palette.bad(text) : text
}

function activeLines(activity: ActivityReport | undefined, { palette }: Screen): string[] {
  if (activity === undefined) return []
  return activity.active.slice(0, ACTIVE_FOR_PEOPLE).map((file) => {
    const percent = file.size === 0 ? 100 : Math.min(100, Math.floor((file.done / file.size) * 100))
    const name = `${palette.name(displayName(file.repo))} ${displayName(file.path)}`
    return `${palette.faint('fetching ')} ${name}, ${percent} % of ${formatSize(file.size)}`
  })
}
