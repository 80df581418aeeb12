import type { EventFilter } from '../archive-rows.ts'
import { SEVERITIES, type ChangeEvent, type EventType, type LoggedEvent, type Severity } from '../domain/events.ts'
import { fromJson, nameKeyOf, refOf, toJson } from './codec.ts'
import { readMeta, writeMeta } from './meta.ts'
import type { Db, EventsTable } from './schema.ts'

const INSERT_ROWS = 500

/**
 * Appends to the log. The number follows the last row's inside the caller's transaction, so that what is rolled back
 * leaves no gap.
 */
export async function appendEvents(db: Db, archiveId: string, events: readonly ChangeEvent[]): Promise<LoggedEvent[]> {
  if (events.length === 0) return []
  const first = (await lastSeq(db)) + 1
  const logged = events.map((event, at) => ({ ...event, seq: first + at, id: eventId(archiveId, first + at) }))
  for (let at = 0; at < logged.length; at += INSERT_ROWS) {
    await db
      .insertInto('events')
      .values(logged.slice(at, at + INSERT_ROWS).map(rowOf))
      .execute()
  }
  return logged
}

function eventId(archiveId: string, seq: number): string {
  return `${archiveId.slice(0, 8)}-${seq}`
}

/** Puts events of the journal files back into the log, with the numbers and ids they have. */
export async function importEvents(db: Db, events: readonly LoggedEvent[]): Promise<number> {
  const row = await db.selectFrom('events').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  const fresh = events.filter(({ seq }) => seq > (row?.seq ?? 0))
  for (let at = 0; at < fresh.length; at += INSERT_ROWS) {
    await db
      .insertInto('events')
      .values(fresh.slice(at, at + INSERT_ROWS).map(rowOf))
      .execute()
  }
  return fresh.length
}

const FOLLOWS = 'events_follow'

/** Number of the newest event; for an empty log the number it goes on after, 0 for a new archive. */
export async function lastSeq(db: Db): Promise<number> {
  const row = await db.selectFrom('events').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return row?.seq ?? Number((await readMeta(db, FOLLOWS)) ?? 0)
}

/** Numbers and ids of events are never given twice, also when the catalog was lost: the journal files have the last. */
export async function continueEventsAfter(db: Db, seq: number): Promise<void> {
  if ((await lastSeq(db)) < seq) await writeMeta(db, FOLLOWS, String(seq))
}

/** With `since` the first events after it, else the newest ones; oldest first in both cases. */
export async function readEvents(db: Db, filter: EventFilter): Promise<LoggedEvent[]> {
  let query = db.selectFrom('events').selectAll().limit(filter.limit)
  if (filter.type !== undefined) query = query.where('type', '=', filter.type)
  if (filter.types !== undefined) query = query.where('type', 'in', filter.types)
  if (filter.until !== undefined) query = query.where('seq', '<=', filter.until)
  if (filter.repo !== undefined) query = query.where('repo_key', '=', nameKeyOf(filter.repo))
  if (filter.minSeverity !== undefined) {
    query = query.where('severity', '>=', SEVERITIES.indexOf(filter.minSeverity as Severity))
  }
  if (filter.since !== undefined) {
    const rows = await query.where('seq', '>', filter.since).orderBy('seq').execute()
    return rows.map(eventOf)
  }
  const newest = await query.orderBy('seq', 'desc').execute()
  return newest.map(eventOf).reverse()
}

const EXPORTED = 'exported_seq'

/** Events that the journal files do not have yet, oldest first. */
export async function eventsNotExported(db: Db, limit: number): Promise<LoggedEvent[]> {
  return readEvents(db, { since: Number((await readMeta(db, EXPORTED)) ?? 0), limit })
}

/** Everything up to `seq` is in the journal files. Never moves back. */
export async function markExported(db: Db, seq: number): Promise<void> {
  const before = Number((await readMeta(db, EXPORTED)) ?? 0)
  if (seq > before) await writeMeta(db, EXPORTED, String(seq))
}

function rowOf(event: LoggedEvent): EventsTable {
  return {
    seq: event.seq,
    id: event.id,
    type: event.type,
    severity: SEVERITIES.indexOf(event.severity),
    repo_type: event.repo?.type ?? null,
    repo_name: event.repo?.name ?? null,
    repo_key: event.repo === undefined ? null : nameKeyOf(event.repo.name),
    at: event.at,
    before: toJson(event.before),
    after: toJson(event.after),
    detail: JSON.stringify(event.detail),
  }
}

function eventOf(row: EventsTable): LoggedEvent {
  const { repo_type: type, repo_name: name } = row
  return {
    seq: row.seq,
    id: row.id,
    type: row.type as EventType,
    severity: SEVERITIES[row.severity] ?? 'info',
    repo: type === null || name === null ? undefined : refOf({ type, name }),
    at: row.at,
    before: fromJson(row.before),
    after: fromJson(row.after),
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  }
}
