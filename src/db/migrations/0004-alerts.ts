import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlTypes } from './0001-init.ts'

/** How far each alert channel is in the event log, and the messages that wait for it. */
export function alertsMigration(types: SqlTypes): Migration {
  const { id, integer: int, text, table } = types
  const statements = [
    `CREATE TABLE channels (
      id ${id},
      key ${text} NOT NULL UNIQUE,
      opened_ms ${int} NOT NULL,
      cut_seq ${int} NOT NULL,
      digest_seq ${int} NOT NULL,
      digest_at_ms ${int} NOT NULL,
      burst_from_ms ${int} NOT NULL,
      burst_count ${int} NOT NULL,
      last_cut_ms ${int} NOT NULL,
      failures ${int} NOT NULL,
      failing_since_ms ${int},
      next_try_ms ${int} NOT NULL,
      last_code ${text},
      last_message ${text},
      last_sent_ms ${int},
      told_ms ${int},
      given_up ${int} NOT NULL
    ) ${table}`,
    `CREATE TABLE outbox (
      id ${id},
      channel_id ${int} NOT NULL REFERENCES channels (id),
      message_id ${text} NOT NULL,
      kind ${text} NOT NULL,
      seqs ${text} NOT NULL,
      notice ${text},
      created_ms ${int} NOT NULL,
      attempts ${int} NOT NULL,
      UNIQUE (channel_id, message_id)
    ) ${table}`,
    'CREATE INDEX outbox_next ON outbox (channel_id, id)',
  ]
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}
