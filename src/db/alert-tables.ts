import type { Generated } from 'kysely'

/** How far an alert channel is in the event log, and how sending to it goes. Times in milliseconds since 1970. */
export interface ChannelsTable {
  id: Generated<number>
  key: string
  /** When a process last ran with this channel in its configuration. */
  opened_ms: number
  cut_seq: number
  digest_seq: number
  digest_at_ms: number
  burst_from_ms: number
  burst_count: number
  last_cut_ms: number
  failures: number
  failing_since_ms: number | null
  next_try_ms: number
  last_code: string | null
  last_message: string | null
  last_sent_ms: number | null
  told_ms: number | null
  given_up: number
}

/** Messages that wait for their channel. */
export interface OutboxTable {
  id: Generated<number>
  channel_id: number
  message_id: string
  kind: string
  /** JSON list of event numbers. */
  seqs: string
  /** JSON of a message that is not from the log. */
  notice: string | null
  created_ms: number
  attempts: number
}
