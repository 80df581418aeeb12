import type { AlertChannel, ChannelState } from '../alert-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { ago, counted, formatCount } from './ago.ts'
import type { Screen } from './command.ts'
import type { Column } from './table.ts'

/** One alert channel with how delivery to it stands. */
export interface ChannelRow {
  readonly channel: AlertChannel
  /** Undefined before a process has written with this channel in its configuration. */
  readonly state: ChannelState | undefined
  /** Events of the log that were not looked at for this channel yet. */
  readonly eventsBehind: number
}

/** The configured channels, in order of the configuration. */
export async function readChannelRows({
  catalog,
  channels,
}: Pick<OpenedArchive, 'catalog' | 'channels'>): Promise<ChannelRow[]> {
  if (channels.length === 0) return []
  const states = new Map((await catalog.outbox.channelStates()).map((state) => [state.key, state]))
  const [newest] = await catalog.events({ limit: 1 })
  return channels.map((channel) => {
    const state = states.get(channel.key)
    return { channel, state, eventsBehind: Math.max(0, (newest?.seq ?? 0) - (state?.cutSeq ?? newest?.seq ?? 0)) }
  })
}

/** The rows as `status --json` and `notify ls --json` have them. */
export function channelsJson(rows: readonly ChannelRow[]): unknown[] {
  return rows.map(({ channel, state, eventsBehind }) => ({
    channel: channel.label,
    waiting: state?.queued ?? 0,
    eventsBehind,
    lastSentAt: isoOf(state?.lastSentMs),
    failingSince: isoOf(state?.failingSinceMs),
    failures: state?.failures ?? 0,
    nextTryAt: state?.failingSinceMs === undefined ? null : isoOf(state.nextTryMs),
    error: state?.lastCode === undefined ? null : { code: state.lastCode, message: state.lastMessage ?? '' },
    givenUp: state?.givenUp ?? 0,
  }))
}

/** Columns for people. */
export function channelColumns({ palette, nowMs }: Screen): Column<ChannelRow>[] {
  return [
    { header: 'CHANNEL', text: ({ channel }) => channel.label, minWidth: 12, paint: () => palette.name },
    { header: 'LAST SENT', align: 'right', text: ({ state }) => ago(isoOf(state?.lastSentMs) ?? undefined, nowMs) },
    { header: 'WAITING', align: 'right', text: ({ state }) => formatCount(state?.queued ?? 0) },
    { header: 'GIVEN UP', align: 'right', text: ({ state }) => formatCount(state?.givenUp ?? 0), dropRank: 1 },
    {
      header: 'RESULT',
      text: ({ state }) => resultText(state, nowMs),
      minWidth: 12,
      shorten: 'end',
      paint: ({ state }) =>
        state?.failingSinceMs !== undefined
          ? palette.bad
          : state?.lastSentMs === undefined
            ? palette.faint
            : palette.good,
    },
  ]
}

function resultText(state: ChannelState | undefined, nowMs: number): string {
  if (state?.failingSinceMs !== undefined) {
    return `${counted(state.failures, 'failed try', 'failed tries')}, the first ${ago(isoOf(state.failingSinceMs) ?? undefined, nowMs)}: ${state.lastMessage ?? state.lastCode ?? ''}`
  }
  return state?.lastSentMs === undefined ? 'nothing sent yet' : 'ok'
}

function isoOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
