import type { KeepPolicy } from '../domain/decision.ts'
import type { WatchEntry } from '../domain/watch.ts'
import { formatDuration, formatSize } from '../lib/units.ts'
import type { WatchState } from '../watch-rows.ts'
import { ago } from './ago.ts'
import type { Screen } from './command.ts'
import type { Column } from './table.ts'

/** One line of `status` and `watch ls`. */
export interface WatchRow {
  readonly entry: WatchEntry
  /** undefined before the first poll. */
  readonly state: WatchState | undefined
}

/** Columns for the watch list. */
export function watchColumns(screen: Screen): Column<WatchRow>[] {
  const { palette, nowMs } = screen
  return [
    { header: 'WATCH', text: ({ entry }) => entry.key, minWidth: 18, shorten: 'middle', paint: () => palette.name },
    { header: 'EVERY', align: 'right', text: ({ entry }) => formatDuration(entry.everyMs), dropRank: 1 },
    { header: 'REPOS', align: 'right', text: ({ state }) => String(state?.repos ?? '-') },
    { header: 'LAST POLL', align: 'right', text: ({ state }) => ago(state?.lastPollAt, nowMs) },
    {
      header: 'RESULT',
      text: resultText,
      minWidth: 12,
      paint: ({ state }) =>
        state?.lastErrorCode !== undefined ? palette.bad : state?.lastOkAt === undefined ? palette.faint : palette.good,
    },
    { header: 'KEEP', text: ({ entry }) => keepText(entry.keep), minWidth: 12, dropRank: 2 },
  ]
}

function resultText({ state }: WatchRow): string {
  if (state?.lastErrorCode !== undefined) return `${state.lastErrorCode} ${state.lastErrorMessage ?? ''}`.trim()
  return state?.lastOkAt === undefined ? 'not polled yet' : 'ok'
}

/** What is kept, in a few words: `all`, `metadata`, `gguf; Q4_K_M,Q8_0; at most 200 GB`. */
function keepText(keep: KeepPolicy): string {
  if (keep.files === 'metadata') return 'metadata'
  const parts = [
    keep.formats?.join(',') ?? '',
    keep.quants?.join(',') ?? '',
    keep.include.length === 1 && keep.include[0] === '*' ? '' : keep.include.join(','),
    keep.exclude.length === 0 ? '' : `not ${keep.exclude.join(',')}`,
    keep.maxRepoBytes === undefined ? '' : `at most ${formatSize(keep.maxRepoBytes)}`,
  ].filter((part) => part !== '')
  return parts.length === 0 ? 'all' : parts.join('; ')
}
