import { EVENT_TYPES, SEVERITIES, type LoggedEvent } from '../domain/events.ts'
import { eventJson } from '../domain/event-json.ts'
import type { EventFilter } from '../catalog-rows.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { closestWord } from '../config/closest-word.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import {
  choiceOption,
  countOption,
  flagOption,
  quote,
  readRepo,
  textOption,
  usage,
  type CommandInput,
} from './command-input.ts'
import { eventLine } from './event-line.ts'
import { jsonObject } from './json-pieces.ts'

const LAST_EVENTS = 50
const EVENTS_A_PAGE = 500
const FOLLOW_EVERY_MS = 1000

/** `weightvault events` */
export const eventsCommand: Command = {
  name: 'events',
  summary: 'the change log',
  description:
    'Shows what was observed, oldest first: the last events, or with --since all after that number. With --follow it stays and shows each new event until it is interrupted, which is its normal end.',
  options: [
    { flags: '--follow', description: 'stay, and show new events as they come' },
    { flags: '--since <seq>', description: 'only events after this number' },
    { flags: '--type <type>', description: 'only this type: repo-published, license-changed, …' },
    { flags: '--repo <repo>', description: 'only this repository' },
    { flags: '--min <severity>', description: `at least this severity: ${SEVERITIES.join(', ')}` },
    { flags: '--limit <count>', description: `at most so many (without --since: the last ${LAST_EVENTS})` },
  ],
  examples: [
    'weightvault events --follow',
    'weightvault events --since 1200 --json',
    'weightvault events --type license-changed',
  ],
  exits: [9],
  run: events,
}

type Filter = Omit<EventFilter, 'limit' | 'since'>

async function events(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const filter = readFilter(input)
  const since = countOption(input, 'since', 0)
  const limit = countOption(input, 'limit', 1)
  const isFollowing = flagOption(input, 'follow')
  const archive = await context.openArchive('read')
  const found = (): AsyncIterable<LoggedEvent> => {
    const past = pastEvents(archive, filter, since, limit)
    return isFollowing ? followEvents(archive, filter, past, since ?? 0, context.signal) : past
  }
  return {
    exitCode: 0,
    json: () => jsonObject({}, [{ key: 'events', elements: jsonEvents(found()), eager: isFollowing }]),
    text: (screen) => eventLines(found(), isFollowing, screen),
  }
}

/** Without `since`: the last events. With it: all that came after, page by page. */
async function* pastEvents(
  archive: Pick<OpenedArchive, 'catalog'>,
  filter: Filter,
  since: number | undefined,
  limit: number | undefined,
): AsyncIterable<LoggedEvent> {
  if (since === undefined) {
    yield* inOrder(await archive.catalog.events({ ...filter, limit: limit ?? LAST_EVENTS }))
    return
  }
  let after = since
  let left = limit ?? Infinity
  while (left > 0) {
    const page = Math.min(EVENTS_A_PAGE, left)
    const rows = inOrder(await archive.catalog.events({ ...filter, since: after, limit: page }))
    yield* rows
    if (rows.length < page) return
    left -= rows.length
    after = rows.at(-1)!.seq
  }
}

async function* followEvents(
  archive: OpenedArchive,
  filter: Filter,
  past: AsyncIterable<LoggedEvent>,
  since: number,
  signal: AbortSignal,
): AsyncIterable<LoggedEvent> {
  let last = Math.max(since, (await archive.catalog.totals()).lastSeq)
  for await (const event of past) {
    yield event
    last = Math.max(last, event.seq)
  }
  while (!signal.aborted) {
    const { lastSeq } = await archive.catalog.totals()
    if (lastSeq > last) {
      for await (const event of pastEvents(archive, filter, last, undefined)) {
        yield event
        last = event.seq
      }
      // Events that the filter leaves out need not be looked at again.
      last = Math.max(last, lastSeq)
    }
    try {
      await archive.clock.sleep(FOLLOW_EVERY_MS, signal)
    } catch (error) {
      // Being interrupted is how following ends.
      if (signal.aborted) return
      throw error
    }
  }
}

async function* jsonEvents(rows: AsyncIterable<LoggedEvent>): AsyncIterable<unknown> {
  for await (const event of rows) yield eventJson(event)
}

async function* eventLines(
  rows: AsyncIterable<LoggedEvent>,
  isFollowing: boolean,
  screen: Screen,
): AsyncIterable<string> {
  let isFirst = true
  for await (const event of rows) {
    yield `${isFirst ? '' : '\n'}${eventLine(event, screen.palette, { withDate: true })}`
    isFirst = false
  }
  if (isFirst && !isFollowing) yield 'No events.'
}

function inOrder(rows: readonly LoggedEvent[]): LoggedEvent[] {
  return rows.toSorted((a, b) => a.seq - b.seq)
}

function readFilter(input: CommandInput): Filter {
  const type = textOption(input, 'type')
  if (type !== undefined && !EVENT_TYPES.some((known) => known === type)) {
    const meant = closestWord(type, EVENT_TYPES)
    const hint = meant === undefined ? `types: ${EVENT_TYPES.join(' ')}` : `did you mean ${meant}?`
    throw usage(`${quote(type)} is not a type of event`, hint)
  }
  const repo = textOption(input, 'repo')
  const minSeverity = choiceOption(input, 'min', SEVERITIES)
  return {
    ...(type === undefined ? {} : { type }),
    ...(repo === undefined ? {} : { repo: readRepo(repo).ref.name }),
    ...(minSeverity === undefined ? {} : { minSeverity }),
  }
}
