import type { NoticeText } from '../alert-port.ts'

/** What a channel is told about alerts that it is not sent. */
export interface OwnNotice {
  /** The same for the same alerts: a notice is stored once. */
  readonly id: string
  readonly text: NoticeText
}

/**
 * To a channel that begins anew. Told also because the clock, not the channel, may have been away.
 * @param prefix start of the archive's id, so that the id of the message is this archive's own
 */
export function passedOverNotice(prefix: string, first: number, last: number): OwnNotice {
  return {
    id: `${prefix}-passed-over-${first}-to-${last}`,
    text: {
      title: 'this alert channel is in use again',
      happened: `No process ran with this channel for a month. Events ${first} to ${last}, which were logged before now, are not sent to it.`,
      means: 'You were not told of these events here. The event log has all of them.',
      todo: `Read them: "weightvault events --since ${first - 1} --until ${last}".`,
    },
  }
}

/** Told once the channel takes alerts again. */
export function givenUpNotice(prefix: string, seqs: readonly number[]): OwnNotice {
  const first = Math.min(...seqs)
  const last = Math.max(...seqs)
  const [alerts, were, events] =
    seqs.length === 1
      ? ['1 alert', 'was', `event ${first}`]
      : [`${seqs.length} alerts`, 'were', `events ${first} to ${last}`]
  return {
    id: `${prefix}-given-up-${first}-to-${last}`,
    text: {
      title: `${alerts} ${were} given up`,
      happened: `This channel did not take ${alerts} about ${events} for a week; nothing of it is sent any more.`,
      means: 'You were not told of these events here. The event log has all of them.',
      todo: `Read them: "weightvault events --since ${first - 1} --until ${last}".`,
    },
  }
}
