import { worstOf } from './alert-rules.ts'
import { eventMeaning } from './event-meaning.ts'
import { eventSentence } from './event-sentence.ts'
import type { LoggedEvent, Severity } from './events.ts'
import { printRepo, splitRepoName } from './repo.ts'

/** One message to a person, the same for every channel; each channel escapes and cuts it for itself. */
export interface Alert {
  /** Idempotency key: the same at every try. */
  readonly id: string
  readonly kind: 'alert' | 'digest' | 'notice' | 'test'
  readonly severity: Severity
  /** ISO time of its first event, or of the message where it has none. */
  readonly at: string
  /** One line without control characters. */
  readonly title: string
  /** What happened, a line each. */
  readonly happened: readonly string[]
  readonly means: string
  readonly holds: string
  readonly todo: string
  /** The first events it is about. */
  readonly events: readonly LoggedEvent[]
  /** Ids of its further events. */
  readonly furtherIds: readonly string[]
}

/** An event with what the archive holds of its repository, as a sentence. */
export interface ShownEvent {
  readonly event: LoggedEvent
  readonly holds: string
}

/** What a message says of itself besides its events. */
export interface AlertFrame {
  readonly id: string
  readonly kind: 'alert' | 'digest'
  /** Ids of events that are not shown. */
  readonly furtherIds: readonly string[]
  /** What the whole archive holds, as a sentence. */
  readonly archiveHolds: string
}

/** The message about some events of one cut. */
export function alertOf(frame: AlertFrame, shown: readonly ShownEvent[]): Alert {
  const events = shown.map(({ event }) => event)
  const base = {
    id: frame.id,
    kind: frame.kind,
    severity: worstOf(events),
    at: events[0]?.at ?? '1970-01-01T00:00:00.000Z',
    events,
    furtherIds: frame.furtherIds,
  }
  const [only] = shown
  if (only !== undefined && shown.length === 1 && frame.furtherIds.length === 0 && frame.kind === 'alert') {
    const { event } = only
    const { means, todo } = eventMeaning(event.type)
    const holds = event.repo === undefined ? frame.archiveHolds : only.holds
    return { ...base, title: titleOf(event), happened: [lineOf(event)], means, holds, todo }
  }
  const happened = [...shown.map(lineWithHold), ...moreLine(frame.furtherIds.length)]
  const count = shown.length + frame.furtherIds.length
  const [first] = events
  const isOneKind = first !== undefined && frame.kind === 'alert'
  return {
    ...base,
    title: isOneKind ? groupTitle(first, events, count) : digestTitle(events, frame.furtherIds.length),
    happened,
    means: isOneKind ? eventMeaning(first.type).means : 'A summary of what is worth knowing and needs no hurry.',
    holds: frame.archiveHolds,
    todo: isOneKind ? eventMeaning(first.type).todo : `Nothing. ${logHint(first)}`,
  }
}

/** The same message without a word from upstream, for a channel that refuses the full one. */
export function reducedAlert(alert: Alert): Alert {
  const [first] = alert.events
  const what = first === undefined ? 'a message' : `event ${first.seq} (${first.type})`
  const count = alert.events.length + alert.furtherIds.length
  return {
    ...alert,
    title: `${alert.severity}: ${what}${count > 1 ? ` and ${count - 1} more` : ''}`,
    happened: ['The channel refused the full message several times, so this is its short form.'],
    todo: logHint(first),
    events: [],
    furtherIds: [...alert.events.map(({ id }) => id), ...alert.furtherIds],
  }
}

function groupTitle(first: LoggedEvent, events: readonly LoggedEvent[], count: number): string {
  const owners = new Set(events.map(({ repo }) => (repo === undefined ? '' : splitRepoName(repo.name).owner)))
  const [owner = ''] = owners
  const prefix = owners.size === 1 && owner !== '' ? `${owner}: ` : ''
  return `${prefix}${count} times ${eventMeaning(first.type).title}`
}

function titleOf(event: LoggedEvent): string {
  const { title } = eventMeaning(event.type)
  return event.repo === undefined ? title : `${printRepo(event.repo)}: ${title}`
}

function lineOf(event: LoggedEvent): string {
  return `${event.repo === undefined ? '' : `${printRepo(event.repo)} `}${eventSentence(event)}`
}

function lineWithHold({ event, holds }: ShownEvent): string {
  return event.repo === undefined || holds === '' ? lineOf(event) : `${lineOf(event)}. Held: ${holds}`
}

function moreLine(count: number): string[] {
  return count === 0 ? [] : [`… and ${count} more`]
}

function digestTitle(events: readonly LoggedEvent[], further: number): string {
  const counts = Map.groupBy(events, ({ type }) => type)
  const kinds = [...counts].map(([type, some]) => `${some.length} ${eventMeaning(type).title}`)
  return `Digest: ${[...kinds, ...(further > 0 ? [`${further} more`] : [])].join(', ')}`
}

function logHint(first: LoggedEvent | undefined): string {
  return first === undefined
    ? '"weightvault events" has the log.'
    : `"weightvault events --since ${first.seq - 1}" shows the log from there on.`
}
