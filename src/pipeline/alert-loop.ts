import type { AlertChannel, ChannelState } from '../alert-port.ts'
import { isDigestDue, isTryDue } from '../domain/alert-delivery.ts'
import { stormPauseMs } from '../domain/cut-alerts.ts'
import { errorCodeOf } from '../domain/errors.ts'
import { deliverTo, type DeliveryDeps } from './deliver-alerts.ts'

const LOOK_EVERY_MS = 1000

/**
 * Sends alerts as they come, until the signal aborts. Each channel goes its own pace. What the disk refuses is tried
 * again: the log still has what is owed.
 * @param deps `channels` may be another list at every look
 */
export async function runAlertLoop(deps: DeliveryDeps, signal: AbortSignal): Promise<void> {
  const busy = new Map<string, Promise<void>>()
  let lastCode: string | undefined
  const failed = (error: unknown): void => {
    const code = errorCodeOf(error)
    // Once for each trouble: this comes round every second.
    if (!signal.aborted && code !== lastCode)
      deps.log.warn({ component: 'notify', code, err: error }, 'alerts not delivered')
    lastCode = code
  }
  try {
    for (;;) {
      const due = await dueChannels(deps).catch((error: unknown) => {
        failed(error)
        return []
      })
      for (const channel of due) {
        if (busy.has(channel.key)) continue
        const work = deliverTo(deps, channel, {}, signal)
          .then(() => undefined, failed)
          .finally(() => busy.delete(channel.key))
        busy.set(channel.key, work)
      }
      await deps.clock.sleep(LOOK_EVERY_MS, signal)
    }
  } finally {
    await Promise.all(busy.values())
  }
}

/** One look for all channels: most of the time there is nothing to do for any. */
async function dueChannels({ catalog, channels, clock }: DeliveryDeps): Promise<readonly AlertChannel[]> {
  if (channels.length === 0) return []
  const states = new Map((await catalog.outbox.channelStates()).map((state) => [state.key, state]))
  const newest = (await catalog.events({ limit: 1 })).at(-1)?.seq ?? 0
  const nowMs = clock.now()
  return channels.filter((channel) => {
    const state = states.get(channel.key)
    return state !== undefined && hasWork(channel, state, newest, nowMs)
  })
}

function hasWork({ digestMs }: AlertChannel, state: ChannelState, newest: number, nowMs: number): boolean {
  if (state.queued > 0) return isTryDue(state.nextTryMs, nowMs)
  if (state.cutSeq < newest && stormPauseMs(state.burst, nowMs) === 0) return true
  return digestMs !== undefined && isDigestDue(state.digestAtMs, digestMs, nowMs)
}
