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
      for (const channel of deps.channels) {
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
