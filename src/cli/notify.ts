import type { AlertChannel } from '../alert-port.ts'
import type { Alert } from '../domain/alert.ts'
import { ArchiveError } from '../domain/errors.ts'
import { formatDuration } from '../lib/units.ts'
import { channelColumns, channelsJson, readChannelRows } from './channel-rows.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import type { CommandGroup } from './program.ts'
import { renderTable, type Column } from './table.ts'

const NONE = 'No channel is configured: list some under "notify:" in the configuration.'

const listChannels: Command = {
  name: 'notify ls',
  summary: 'the alert channels and how sending to them goes',
  description: 'Shows each configured channel: when it last took an alert, what waits for it, and why it fails.',
  examples: ['weightvault notify', 'weightvault notify ls --json'],
  exits: [9],
  run: list,
}

const testChannels: Command = {
  name: 'notify test',
  summary: 'a test message to every channel',
  description:
    'Really sends one message to every configured channel, whatever their rules say, and shows what each answered. Exit 8 when one fails.',
  examples: ['weightvault notify test', 'weightvault notify test --json'],
  exits: [8],
  run: test,
}

/** `weightvault notify [ls|test]` */
export const notifyGroup: CommandGroup = {
  name: 'notify',
  summary: 'the alert channels: show, test',
  description: 'Shows or tests the channels that alerts are sent to. Without a word: the list.',
  commands: [listChannels, testChannels],
}

async function list(context: CommandContext): Promise<Outcome> {
  const archive = await context.openArchive('read')
  const rows = await readChannelRows(archive)
  return outcome({ channels: channelsJson(rows) }, (screen) =>
    rows.length === 0 ? NONE : renderTable(channelColumns(screen), rows, screen.columns, screen.palette.faint),
  )
}

/** What came of one test message. */
interface Tested {
  readonly channel: string
  readonly ms: number
  readonly error: ArchiveError | undefined
}

async function test(context: CommandContext): Promise<Outcome> {
  const channels = await context.openChannels()
  const alert = testAlert(new Date(context.clock.now()).toISOString())
  const results = await Promise.all(channels.map((channel) => sendTest(context, channel, alert)))
  const json = results.map(({ channel, ms, error }) => ({
    channel,
    ok: error === undefined,
    ms,
    error: error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
  }))
  const hasFailed = results.some(({ error }) => error !== undefined)
  return outcome({ channels: json }, (screen) => testText(results, screen), hasFailed ? 8 : 0)
}

async function sendTest(context: CommandContext, channel: AlertChannel, alert: Alert): Promise<Tested> {
  const startMs = context.clock.now()
  const done = (error: ArchiveError | undefined): Tested => ({
    channel: channel.label,
    ms: context.clock.now() - startMs,
    error,
  })
  try {
    await channel.send(alert, context.signal)
    return done(undefined)
  } catch (error) {
    context.signal.throwIfAborted()
    if (!(error instanceof ArchiveError)) throw error
    return done(error)
  }
}

function testAlert(at: string): Alert {
  return {
    id: `test-${at.replaceAll(/\D/g, '')}`,
    kind: 'test',
    severity: 'notice',
    at,
    title: 'test of an alert channel',
    happened: ['Somebody ran "weightvault notify test".'],
    means: 'This channel works: alerts of weightvault arrive here.',
    holds: 'Nothing changed in the archive.',
    todo: 'Nothing.',
    events: [],
    furtherIds: [],
  }
}

function testText(results: readonly Tested[], screen: Screen): string {
  if (results.length === 0) return NONE
  const { palette } = screen
  const columns: Column<Tested>[] = [
    { header: 'CHANNEL', text: ({ channel }) => channel, minWidth: 12, paint: () => palette.name },
    { header: 'TOOK', align: 'right', text: ({ ms }) => formatDuration(Math.max(0, ms)), dropRank: 1 },
    {
      header: 'RESULT',
      text: ({ error }) => (error === undefined ? 'ok' : `${error.message} (${error.code})`),
      minWidth: 12,
      shorten: 'end',
      paint: ({ error }) => (error === undefined ? palette.good : palette.bad),
    },
  ]
  const hints = results.flatMap(({ channel, error }) =>
    error?.hint === undefined ? [] : [`${palette.attention(channel)}: ${error.hint}`],
  )
  return [renderTable(columns, results, screen.columns, palette.faint), ...hints].join('\n')
}
