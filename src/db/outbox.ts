import type { AlertOutbox, ChannelNotice, ChannelState, NoticeText, QueuedMessage } from '../alert-port.ts'
import type { Burst, CutMessage } from '../domain/cut-alerts.ts'
import type { ChannelsTable, OutboxTable } from './alert-tables.ts'
import { lastSeq } from './events.ts'
import { readMeta } from './meta.ts'
import type { Db } from './schema.ts'
import { givenUpNotice, passedOverNotice, type OwnNotice } from './unsent-notices.ts'

/** A channel that no process had in its configuration for so long begins anew, without the past between. */
const FORGOTTEN_MS = 30 * 24 * 3_600_000
const MAX_ERROR_CHARACTERS = 1000

/** Runs a step in one transaction. */
type Transaction = <T>(step: (db: Db) => Promise<T>) => Promise<T>

/** Delivery of alerts: tables `channels` and `outbox`. */
export class Outbox implements AlertOutbox {
  readonly #read: Transaction
  readonly #write: Transaction

  constructor(read: Transaction, write: Transaction) {
    this.#read = read
    this.#write = write
  }

  openChannels(keys: readonly string[], nowMs: number): Promise<void> {
    return this.#write(async (db) => {
      const newest = await lastSeq(db)
      for (const key of keys) await openChannel(db, key, newest, nowMs)
    })
  }

  channelStates(): Promise<ChannelState[]> {
    return this.#read(async (db) => (await channelRows(db, undefined)).map(stateOf))
  }

  channelState(key: string): Promise<ChannelState | undefined> {
    return this.#read(async (db) => (await channelRows(db, key)).map(stateOf)[0])
  }

  storeCut(
    key: string,
    cut: { from: number; to: number; messages: readonly CutMessage[]; burst: Burst; nowMs: number },
  ): Promise<boolean> {
    return this.#write(async (db) => {
      const { burst } = cut
      const moved = await db
        .updateTable('channels')
        .set({
          cut_seq: cut.to,
          burst_from_ms: burst.fromMs,
          burst_count: burst.count,
          last_cut_ms: burst.lastCutMs,
        })
        .where('key', '=', key)
        .where('cut_seq', '=', cut.from)
        .returning('id')
        .executeTakeFirst()
      if (moved === undefined) return false
      for (const message of cut.messages) await enqueue(db, moved.id, message, cut.nowMs)
      return true
    })
  }

  storeDigest(
    key: string,
    cut: { from: number; to: number; message: CutMessage | undefined; nextAtMs: number; nowMs: number },
  ): Promise<boolean> {
    return this.#write(async (db) => {
      const moved = await db
        .updateTable('channels')
        .set({ digest_seq: cut.to, digest_at_ms: cut.nextAtMs })
        .where('key', '=', key)
        .where('digest_seq', '=', cut.from)
        .returning('id')
        .executeTakeFirst()
      if (moved === undefined) return false
      if (cut.message !== undefined) await enqueue(db, moved.id, cut.message, cut.nowMs)
      return true
    })
  }

  firstMessage(key: string): Promise<QueuedMessage | undefined> {
    return this.#read(async (db) => {
      const row = await db
        .selectFrom('outbox')
        .innerJoin('channels', 'channels.id', 'outbox.channel_id')
        .selectAll('outbox')
        .where('channels.key', '=', key)
        .orderBy('outbox.id')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? undefined : messageOf(row)
    })
  }

  messageSent(key: string, row: number, nowMs: number, notice: ChannelNotice | undefined): Promise<void> {
    return this.#write(async (db) => {
      await db.deleteFrom('outbox').where('id', '=', row).execute()
      const works = { failures: 0, failing_since_ms: null, next_try_ms: 0, last_code: null, last_message: null }
      await db
        .updateTable('channels')
        .set({ ...works, last_sent_ms: nowMs, ...(notice === undefined ? {} : { told_ms: null }) })
        .where('key', '=', key)
        .execute()
      await tell(db, notice, nowMs)
    })
  }

  messageFailed(
    key: string,
    row: number,
    failure: { code: string; message: string; nextTryMs: number; nowMs: number },
    notice: ChannelNotice | undefined,
  ): Promise<void> {
    return this.#write(async (db) => {
      await db
        .updateTable('outbox')
        .set((column) => ({ attempts: column('attempts', '+', 1) }))
        .where('id', '=', row)
        .execute()
      await db
        .updateTable('channels')
        .set((column) => ({
          failures: column('failures', '+', 1),
          failing_since_ms: column.fn.coalesce('failing_since_ms', column.val(failure.nowMs)),
          next_try_ms: failure.nextTryMs,
          last_code: failure.code,
          last_message: failure.message.slice(0, MAX_ERROR_CHARACTERS).toWellFormed(),
          ...(notice === undefined ? {} : { told_ms: failure.nowMs }),
        }))
        .where('key', '=', key)
        .execute()
      await tell(db, notice, failure.nowMs)
    })
  }

  giveUp(key: string, olderThanMs: number, nowMs: number): Promise<number> {
    return this.#write(async (db) => {
      const [channel] = await channelRows(db, key)
      if (channel === undefined) return 0
      const rows = await db
        .selectFrom('outbox')
        .selectAll()
        .where('channel_id', '=', channel.id)
        .where('created_ms', '<', olderThanMs)
        .where('kind', '<>', 'notice')
        .orderBy('id')
        .execute()
      if (rows.length === 0) return 0
      for (const row of rows) await db.deleteFrom('outbox').where('id', '=', row.id).execute()
      const seqs = rows.flatMap((row) => messageOf(row).seqs)
      await db
        .updateTable('channels')
        .set({ given_up: channel.given_up + seqs.length })
        .where('id', '=', channel.id)
        .execute()
      await enqueueNotice(db, channel.id, givenUpNotice(await archivePrefix(db), seqs), nowMs)
      return seqs.length
    })
  }
}

async function openChannel(db: Db, key: string, newest: number, nowMs: number): Promise<void> {
  const known = await db
    .selectFrom('channels')
    .select(['id', 'opened_ms', 'cut_seq'])
    .where('key', '=', key)
    .executeTakeFirst()
  const fromNow = { cut_seq: newest, digest_seq: newest, digest_at_ms: 0 }
  if (known === undefined) {
    const quiet = { burst_from_ms: 0, burst_count: 0, last_cut_ms: 0, failures: 0, next_try_ms: 0, given_up: 0 }
    await db
      .insertInto('channels')
      .values({ key, opened_ms: nowMs, ...fromNow, ...quiet })
      .execute()
    return
  }
  const isForgotten = nowMs - known.opened_ms > FORGOTTEN_MS
  if (isForgotten) {
    await db.deleteFrom('outbox').where('channel_id', '=', known.id).execute()
    if (known.cut_seq < newest) {
      await enqueueNotice(db, known.id, passedOverNotice(await archivePrefix(db), known.cut_seq + 1, newest), nowMs)
    }
  }
  await db
    .updateTable('channels')
    .set({ opened_ms: nowMs, ...(isForgotten ? fromNow : {}) })
    .where('id', '=', known.id)
    .execute()
}

interface ChannelRow extends Omit<ChannelsTable, 'id'> {
  readonly id: number
  readonly queued: number
}

async function channelRows(db: Db, key: string | undefined): Promise<ChannelRow[]> {
  let query = db
    .selectFrom('channels')
    .selectAll()
    .select((column) =>
      column
        .selectFrom('outbox')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('outbox.channel_id', '=', 'channels.id')
        .as('queued'),
    )
    .orderBy('id')
  if (key !== undefined) query = query.where('key', '=', key)
  const rows = await query.execute()
  return rows.map((row) => ({ ...row, queued: row.queued ?? 0 }))
}

function stateOf(row: ChannelRow): ChannelState {
  return {
    key: row.key,
    cutSeq: row.cut_seq,
    digestSeq: row.digest_seq,
    digestAtMs: row.digest_at_ms,
    burst: { fromMs: row.burst_from_ms, count: row.burst_count, lastCutMs: row.last_cut_ms },
    failures: row.failures,
    failingSinceMs: row.failing_since_ms ?? undefined,
    nextTryMs: row.next_try_ms,
    lastCode: row.last_code ?? undefined,
    lastMessage: row.last_message ?? undefined,
    lastSentMs: row.last_sent_ms ?? undefined,
    toldMs: row.told_ms ?? undefined,
    givenUp: row.given_up,
    queued: row.queued,
  }
}

function messageOf(row: Omit<OutboxTable, 'id'> & { id: number }): QueuedMessage {
  return {
    row: row.id,
    id: row.message_id,
    kind: row.kind as QueuedMessage['kind'],
    seqs: JSON.parse(row.seqs) as number[],
    notice: row.notice === null ? undefined : (JSON.parse(row.notice) as NoticeText),
    createdMs: row.created_ms,
    attempts: row.attempts,
  }
}

async function enqueue(db: Db, channelId: number, message: CutMessage, nowMs: number): Promise<void> {
  await db
    .insertInto('outbox')
    .values({
      channel_id: channelId,
      message_id: message.id,
      kind: message.kind,
      seqs: JSON.stringify(message.seqs),
      created_ms: nowMs,
      attempts: 0,
    })
    .execute()
}

async function tell(db: Db, notice: ChannelNotice | undefined, nowMs: number): Promise<void> {
  if (notice === undefined) return
  for (const key of notice.to) {
    const channel = await db.selectFrom('channels').select('id').where('key', '=', key).executeTakeFirst()
    if (channel !== undefined) await enqueueNotice(db, channel.id, notice, nowMs)
  }
}

async function enqueueNotice(db: Db, channelId: number, notice: OwnNotice, nowMs: number): Promise<void> {
  const row = { kind: 'notice', seqs: '[]', notice: JSON.stringify(notice.text), created_ms: nowMs, attempts: 0 }
  await db
    .insertInto('outbox')
    .values({ channel_id: channelId, message_id: notice.id, ...row })
    .onConflict((conflict) => conflict.columns(['channel_id', 'message_id']).doNothing())
    .execute()
}

async function archivePrefix(db: Db): Promise<string> {
  return ((await readMeta(db, 'archive_id')) ?? 'archive').slice(0, 8)
}
