import type { EventFilter } from '../archive-rows.ts'
import { EVENT_TYPES, SEVERITIES, type LoggedEvent } from '../domain/events.ts'
import { eventJson } from '../domain/event-json.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { closestWord } from '../config/closest-word.ts'
import type { Command, CommandContext, Outcome, Screen } from './command.ts'
import {
  choiceOption,
  countOption,
  flagOption,
  listOption,
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
    'Shows what was observed, oldest first: the last events, or with --since all after that number. With --follow it stays and shows each new event until it is interrupted, which is its normal end; with --json, too, it then prints one JSON object a line.',
  options: [
    { flags: '--follow', description: 'stay, and show new events as they come' },
    { flags: '--since <seq>', description: 'only events after this number' },
    { flags: '--until <seq>', description: 'only events up to this number' },
    { flags: '--type <types>', description: 'only these types: repo-published,license-changed,…' },
    { flags: '--repo <repo>', description: 'only this repository' },
    { flags: '--min <severity>', description: `at least this severity: ${SEVERITIES.join(', ')}` },
    { flags: '--limit <count>', description: `at most so many past events (without --since: the last ${LAST_EVENTS})` },
  ],
  examples: [
    'weightvault events --follow',
    'weightvault events --since 1200 --json',
    'weightvault events --type license-changed,repo-unavailable --min warning',
    'weightvault events --follow --json --since 0',
  ],
  exits: [9],
  run: events,
}

type Filter = Omit<EventFilter, 'limit' | 'since' | 'until'>

interface Span {
  readonly since: number | undefined
  readonly until: number | undefined
  readonly limit: number | undefined
}

async function events(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const filter = readFilter(input)
  const span: Span = {
    since: countOption(input, 'since', 0),
    until: countOption(input, 'until', 1),
    limit: countOption(input, 'limit', 1),
  }
  const isFollowing = flagOption(input, 'follow')
  if (isFollowing && span.until !== undefined) throw usage('--follow has no end, so it does not go with --until')
  if (isFollowing && span.since !== undefined && span.limit !== undefined) {
    throw usage('--follow shows everything after --since, so --limit does not go with both')
  }
  if (isFollowing) return followed(followFrom(context, filter, span))
  const archive = await context.openArchive('read')
  return {
    exitCode: 0,
    json: () => jsonObject({}, [{ key: 'events', elements: jsonEvents(pastEvents(archive, filter, span)) }]),
    text: (screen) => eventLines(pastEvents(archive, filter, span), screen),
  }
}

/** Each event is a line of its own, whole as soon as it is there. */
function followed(rows: AsyncIterable<LoggedEvent>): Outcome {
  return {
    exitCode: 0,
    isLines: true,
    async *json() {
      for await (const event of rows) yield `${JSON.stringify(eventJson(event))}\n`
    },
    async *text(screen) {
      for await (const event of rows) yield `${eventLine(event, screen.palette, { withDate: true })}\n`
    },
  }
}

/** Without `since`: the last events. With it: all that came after, page by page. */
async function* pastEvents(
  { catalog }: Pick<OpenedArchive, 'catalog'>,
  filter: Filter,
  { since, until, limit }: Span,
): AsyncIterable<LoggedEvent> {
  const bounded = { ...filter, ...(until === undefined ? {} : { until }) }
  if (since === undefined) {
    yield* await catalog.events({ ...bounded, limit: limit ?? LAST_EVENTS })
    return
  }
  let after = since
  let left = limit ?? Infinity
  while (left > 0) {
    const page = Math.min(EVENTS_A_PAGE, left)
    const rows = await catalog.events({ ...bounded, since: after, limit: page })
    yield* rows
    if (rows.length < page) return
    left -= rows.length
    after = rows.at(-1)!.seq
  }
}

/** Being interrupted is how following ends, also while the archive is being opened. */
async function* followFrom(context: CommandContext, filter: Filter, span: Span): AsyncIterable<LoggedEvent> {
  try {
    yield* followEvents(await context.openArchive('read'), filter, span, context.signal)
  } catch (error) {
    if (!context.signal.aborted) throw error
  }
}

/**
 * Past events, then each new one. From one number on every event of the log is looked at once, in order, so none is
 * missed or shown twice, whatever is logged meanwhile.
 */
async function* followEvents(
  archive: Pick<OpenedArchive, 'catalog' | 'clock'>,
  filter: Filter,
  { since, limit }: Span,
  signal: AbortSignal,
): AsyncIterable<LoggedEvent> {
  const { catalog, clock } = archive
  let last = since
  if (last === undefined) {
    last = (await catalog.events({ limit: 1 })).at(-1)?.seq ?? 0
    yield* await catalog.events({ ...filter, until: last, limit: limit ?? LAST_EVENTS })
  }
  while (!signal.aborted) {
    const rows = await catalog.events({ since: last, limit: EVENTS_A_PAGE })
    for (const event of rows) {
      if (signal.aborted) return
      if (isWanted(event, filter)) yield event
      last = event.seq
    }
    if (rows.length === EVENTS_A_PAGE) continue
    await clock.sleep(FOLLOW_EVERY_MS, signal)
  }
}

/** The filter that the catalog applies to the past, for an event that is there already. */
function isWanted({ type, repo, severity }: LoggedEvent, filter: Filter): boolean {
  if (filter.types !== undefined && !filter.types.includes(type)) return false
  if (filter.repo !== undefined && repo?.name.toLowerCase() !== filter.repo.toLowerCase()) return false
  const least = SEVERITIES.findIndex((known) => known === filter.minSeverity)
  return SEVERITIES.indexOf(severity) >= least
}

async function* jsonEvents(rows: AsyncIterable<LoggedEvent>): AsyncIterable<unknown> {
  for await (const event of rows) yield eventJson(event)
}

async function* eventLines(rows: AsyncIterable<LoggedEvent>, screen: Screen): AsyncIterable<string> {
  let isFirst = true
  for await (const event of rows) {
    yield `${isFirst ? '' : '\n'}${eventLine(event, screen.palette, { withDate: true })}`
    isFirst = false
  }
  if (isFirst) yield 'No events.'
}

function readFilter(input: CommandInput): Filter {
  const types = listOption(input, 'type')
  for (const type of types ?? []) {
    if (EVENT_TYPES.some((known) => known === type)) continue
    const meant = closestWord(type, EVENT_TYPES)
    const hint = meant === undefined ? `types: ${EVENT_TYPES.join(' ')}` : `did you mean ${meant}?`
    throw usage(`${quote(type)} is not a type of event`, hint)
  }
  const repo = textOption(input, 'repo')
  const minSeverity = choiceOption(input, 'min', SEVERITIES)
  return {
    ...(types === undefined ? {} : { types }),
    ...(repo === undefined ? {} : { repo: readRepo(repo).ref.name }),
    ...(minSeverity === undefined ? {} : { minSeverity }),
  }
}
