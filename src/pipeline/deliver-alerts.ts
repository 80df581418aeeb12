import type { AlertChannel, ChannelNotice, ChannelState, QueuedMessage } from '../alert-port.ts'
import type { Catalog } from '../catalog-port.ts'
import type { Clock } from '../clock-port.ts'
import {
  alertPauseMs,
  GIVE_UP_AFTER_MS,
  isDigestDue,
  isToldNow,
  isTryDue,
  LEAST_TRIES,
} from '../domain/alert-delivery.ts'
import { burstAfter, cutAlerts, cutDigest, stormPauseMs } from '../domain/cut-alerts.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import type { Log } from '../log-port.ts'
import { composeAlert } from './compose-alert.ts'

/** What delivery works with. */
export interface DeliveryDeps {
  readonly catalog: Catalog
  readonly clock: Clock
  readonly log: Log
  /** Every configured channel. */
  readonly channels: readonly AlertChannel[]
}

export interface DeliveryOptions {
  /** Nothing new is begun after this. Default: never ends before all that is due is sent. */
  readonly untilMs?: number
  /** A person or a timer asked: the first message is tried although its pause is not over. */
  readonly ignorePause?: boolean
}

/** Events of the log that are cut into messages at once. */
const EVENTS_A_CUT = 1000
/** Events that a digest sums up; more wait for the next one, which is due at once. */
const EVENTS_A_DIGEST = 5000

/**
 * Sends a channel what it is owed, in order, until nothing is due or a try fails. What is owed is the log behind the
 * channel's cursor. A stretch of it is cut into messages only when all earlier ones are sent, so the outbox stays small
 * however long a channel is away; and a message is fixed before its first try, so that a try after a crash is the same
 * message with the same id.
 */
export async function deliverTo(
  deps: DeliveryDeps,
  channel: AlertChannel,
  options: DeliveryOptions,
  signal: AbortSignal,
): Promise<{ sent: number; failure: ArchiveError | undefined }> {
  const { outbox } = deps.catalog
  let sent = 0
  for (;;) {
    signal.throwIfAborted()
    const state = await outbox.channelState(channel.key)
    const nowMs = deps.clock.now()
    if (state === undefined || nowMs > (options.untilMs ?? Infinity)) return { sent, failure: undefined }
    if (isGivenUp(state, nowMs)) await giveUp(deps, channel, nowMs)
    const message = (await outbox.firstMessage(channel.key)) ?? (await cutNext(deps, channel, state))
    if (message === undefined) return { sent, failure: undefined }
    const mayTry = isTryDue(state.nextTryMs, nowMs) || (options.ignorePause === true && sent === 0)
    if (!mayTry) return { sent, failure: undefined }
    const failure = await sendOne(deps, channel, state, message, signal)
    if (failure !== undefined) return { sent, failure }
    sent += 1
  }
}

/** To all channels at once: a slow one keeps nobody waiting. */
export async function deliverAlerts(
  deps: DeliveryDeps,
  options: DeliveryOptions,
  signal: AbortSignal,
): Promise<{ sent: number; failures: readonly { channel: string; error: ArchiveError }[] }> {
  const results = await Promise.all(
    deps.channels.map(async (channel) => ({ channel, ...(await deliverTo(deps, channel, options, signal)) })),
  )
  return {
    sent: results.reduce((sum, { sent }) => sum + sent, 0),
    failures: results.flatMap(({ channel, failure }) =>
      failure === undefined ? [] : [{ channel: channel.label, error: failure }],
    ),
  }
}

async function sendOne(
  deps: DeliveryDeps,
  channel: AlertChannel,
  state: ChannelState,
  message: QueuedMessage,
  signal: AbortSignal,
): Promise<ArchiveError | undefined> {
  const { outbox } = deps.catalog
  const alert = await composeAlert(deps, message, state.lastCode)
  try {
    await channel.send(alert, signal)
  } catch (error) {
    signal.throwIfAborted()
    const failure = failureOf(error)
    const nowMs = deps.clock.now()
    const failures = state.failures + 1
    const nextTryMs = nowMs + alertPauseMs(failures, Math.random(), askedPause(failure))
    const isTold = isToldNow(failures, state.toldMs, nowMs)
    const notice = isTold ? failingNotice(deps, channel, failure, state.failingSinceMs ?? nowMs, nowMs) : undefined
    const facts = { code: failure.code, message: failure.message, nextTryMs, nowMs }
    await outbox.messageFailed(channel.key, message.row, facts, notice)
    deps.log.warn(
      {
        component: 'notify',
        channel: channel.label,
        alert: message.id,
        code: failure.code,
        attempt: failures,
        err: error,
      },
      'alert not sent',
    )
    return failure
  }
  const nowMs = deps.clock.now()
  const notice = state.toldMs === undefined ? undefined : workingNotice(deps, channel, nowMs)
  await outbox.messageSent(channel.key, message.row, nowMs, notice)
  deps.log.info({ component: 'notify', channel: channel.label, alert: message.id }, 'alert sent')
  return undefined
}

/** Cuts the log behind the cursor until there is a message, or nothing is left. */
async function cutNext(
  deps: DeliveryDeps,
  channel: AlertChannel,
  state: ChannelState,
): Promise<QueuedMessage | undefined> {
  const { outbox } = deps.catalog
  await cutDigestWhenDue(deps, channel, state)
  if (stormPauseMs(state.burst, deps.clock.now()) === 0) await cutAlertsAfter(deps, channel, state)
  return outbox.firstMessage(channel.key)
}

async function cutAlertsAfter(deps: DeliveryDeps, channel: AlertChannel, state: ChannelState): Promise<void> {
  for (let from = state.cutSeq; ;) {
    const events = await deps.catalog.events({ since: from, limit: EVENTS_A_CUT })
    const to = events.at(-1)?.seq
    if (to === undefined) return
    const messages = cutAlerts(channel.rules, events, channel.digestMs === undefined)
    const nowMs = deps.clock.now()
    const burst = burstAfter(state.burst, messages.length, nowMs)
    await deps.catalog.outbox.storeCut(channel.key, { from, to, messages, burst, nowMs })
    if (messages.length > 0) return
    from = to
  }
}

async function cutDigestWhenDue(deps: DeliveryDeps, channel: AlertChannel, state: ChannelState): Promise<void> {
  const { digestMs } = channel
  const nowMs = deps.clock.now()
  if (digestMs === undefined || !isDigestDue(state.digestAtMs, digestMs, nowMs)) return
  const { outbox } = deps.catalog
  const cut = { from: state.digestSeq, message: undefined, nextAtMs: nowMs + digestMs, nowMs }
  if (state.digestAtMs === 0) {
    await outbox.storeDigest(channel.key, { ...cut, to: state.digestSeq })
  } else if (!channel.rules.some(({ min }) => min === 'info')) {
    await outbox.storeDigest(channel.key, { ...cut, to: state.cutSeq })
  } else {
    const events = await eventsOfDigest(deps, state.digestSeq)
    const to = events.at(-1)?.seq ?? state.digestSeq
    const nextAtMs = events.length >= EVENTS_A_DIGEST ? nowMs : cut.nextAtMs
    await outbox.storeDigest(channel.key, { ...cut, to, message: cutDigest(channel.rules, events), nextAtMs })
  }
}

async function eventsOfDigest(deps: DeliveryDeps, since: number): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = []
  while (events.length < EVENTS_A_DIGEST) {
    const page = await deps.catalog.events({ since: events.at(-1)?.seq ?? since, limit: EVENTS_A_CUT })
    events.push(...page)
    if (page.length < EVENTS_A_CUT) break
  }
  return events
}

/** The tries count, too: a clock that jumps by years must not give anything up. */
function isGivenUp({ failingSinceMs, failures }: ChannelState, nowMs: number): boolean {
  if (failingSinceMs === undefined || failures < LEAST_TRIES) return false
  return nowMs - failingSinceMs > GIVE_UP_AFTER_MS
}

async function giveUp(deps: DeliveryDeps, channel: AlertChannel, nowMs: number): Promise<void> {
  const events = await deps.catalog.outbox.giveUp(channel.key, nowMs - GIVE_UP_AFTER_MS, nowMs)
  if (events > 0) deps.log.error({ component: 'notify', channel: channel.label, events }, 'alerts given up')
}

function failureOf(error: unknown): ArchiveError {
  if (error instanceof ArchiveError) return error
  return new ArchiveError('CHANNEL_REFUSED', 'the message could not be made', {
    cause: error,
    hint: 'this is a bug; the log has more',
    details: { code: errorCodeOf(error) },
  })
}

function askedPause(failure: ArchiveError): number | undefined {
  const asked = failure.details['retryAfterMs']
  return typeof asked === 'number' ? asked : undefined
}

function failingNotice(
  deps: DeliveryDeps,
  channel: AlertChannel,
  failure: ArchiveError,
  sinceMs: number,
  nowMs: number,
): ChannelNotice {
  return {
    to: othersThan(deps, channel),
    id: `${deps.catalog.archiveId.slice(0, 8)}-failing-${channel.key}-${nowMs}`,
    text: {
      title: `the alert channel "${channel.label}" fails`,
      happened: `It has taken no alert since ${new Date(sinceMs).toISOString()}: ${failure.message} (${failure.code}).`,
      means: 'Who only listens there is not told of anything now. Its alerts wait, and are tried again for a week.',
      todo: `${failure.hint ?? 'Check the channel'}; "weightvault notify test" tries each channel.`,
    },
  }
}

function workingNotice(deps: DeliveryDeps, channel: AlertChannel, nowMs: number): ChannelNotice {
  return {
    to: othersThan(deps, channel),
    id: `${deps.catalog.archiveId.slice(0, 8)}-working-${channel.key}-${nowMs}`,
    text: {
      title: `the alert channel "${channel.label}" works again`,
      happened: 'It took an alert.',
      means: 'What waited for it is being sent.',
      todo: 'Nothing.',
    },
  }
}

function othersThan({ channels }: DeliveryDeps, channel: AlertChannel): string[] {
  return channels.filter(({ key }) => key !== channel.key).map(({ key }) => key)
}
