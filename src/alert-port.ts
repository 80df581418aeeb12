import type { Alert } from './domain/alert.ts'
import type { AlertRule } from './domain/alert-rules.ts'
import type { Burst, CutMessage } from './domain/cut-alerts.ts'

/** A place that alerts are sent to. */
export interface AlertChannel {
  /** Identity of the channel over restarts; says nothing of its address. */
  readonly key: string
  /** How it is called in tables, logs and messages: kind and host, never an address with a secret. */
  readonly label: string
  readonly rules: readonly AlertRule[]
  /** How often events of severity `info` are summed up; undefined = they are sent like others. */
  readonly digestMs: number | undefined
  /**
   * Sends one message, once. Bounded in time and memory whatever the other side does. Returning means that the other side
   * said it has the message.
   * @throws ArchiveError CHANNEL_UNREACHABLE, CHANNEL_REFUSED (`details.retryAfterMs` where the other side asked for a
   *   pause), or the signal's reason
   */
  send(alert: Alert, signal: AbortSignal): Promise<void>
}

/** How delivery to one channel stands. Times in milliseconds since 1970. */
export interface ChannelState {
  readonly key: string
  /** Every event up to this number was cut into messages, or is not asked for. */
  readonly cutSeq: number
  /** The same for the digest. */
  readonly digestSeq: number
  readonly digestAtMs: number
  readonly burst: Burst
  /** Tries in a row that failed. */
  readonly failures: number
  readonly failingSinceMs: number | undefined
  readonly nextTryMs: number
  readonly lastCode: string | undefined
  readonly lastMessage: string | undefined
  readonly lastSentMs: number | undefined
  /** When the other channels were last told that this one fails; undefined when it works for all they know. */
  readonly toldMs: number | undefined
  /** Events that were given up. */
  readonly givenUp: number
  /** Messages that wait. */
  readonly queued: number
}

/** A message that is not from the log. */
export interface NoticeText {
  readonly title: string
  readonly happened: string
  readonly means: string
  readonly todo: string
}

/** A message that waits to be sent. */
export interface QueuedMessage {
  readonly row: number
  readonly id: string
  readonly kind: 'alert' | 'digest' | 'notice'
  readonly seqs: readonly number[]
  readonly notice: NoticeText | undefined
  readonly createdMs: number
  readonly attempts: number
}

/** A message to channels about another one. */
export interface ChannelNotice {
  readonly to: readonly string[]
  readonly id: string
  readonly text: NoticeText
}

/**
 * Delivery of alerts, in the same database as the event log. The log itself is what is owed: a channel has a cursor into
 * it, and cutting messages moves the cursor in the same transaction that stores them. Every method is one transaction.
 */
export interface AlertOutbox {
  /**
   * Makes known which channels there are. A new one, and one that was not there for a month, begins after the newest
   * event; the latter is told which events that leaves out. Nothing is ever removed: another process may run with another configuration.
   */
  openChannels(keys: readonly string[], nowMs: number): Promise<void>
  channelStates(): Promise<ChannelState[]>
  channelState(key: string): Promise<ChannelState | undefined>
  /** Stores messages and moves the cursor from `from` to `to`; false when the cursor is not at `from`. */
  storeCut(
    key: string,
    cut: { from: number; to: number; messages: readonly CutMessage[]; burst: Burst; nowMs: number },
  ): Promise<boolean>
  /** The same for the digest, whose next time is `nextAtMs`. */
  storeDigest(
    key: string,
    cut: { from: number; to: number; message: CutMessage | undefined; nextAtMs: number; nowMs: number },
  ): Promise<boolean>
  /** The message that is sent next. */
  firstMessage(key: string): Promise<QueuedMessage | undefined>
  /** The other side has it: the message goes. `notice` is stored with it. */
  messageSent(key: string, row: number, nowMs: number, notice: ChannelNotice | undefined): Promise<void>
  messageFailed(
    key: string,
    row: number,
    failure: { code: string; message: string; nextTryMs: number; nowMs: number },
    notice: ChannelNotice | undefined,
  ): Promise<void>
  /** Removes alerts and digests older than this, and puts one message in the queue that says so. Returns how many events. */
  giveUp(key: string, olderThanMs: number, nowMs: number): Promise<number>
}
