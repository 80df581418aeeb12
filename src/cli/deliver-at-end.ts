import { ArchiveError } from '../domain/errors.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { CommandContext } from './command.ts'

/** No sending of an alert begins later than this after the work. */
const DELIVERY_MS = 30_000

/**
 * Does the work, then sends the alerts that are due, also where the work failed: that is when they matter. Alerts that
 * cannot be sent now are no failure of the work; they wait for the next process that writes.
 */
export async function deliverAtEnd<Result>(
  context: CommandContext,
  archive: OpenedArchive,
  work: Promise<Result>,
): Promise<Result> {
  await work.catch(() => undefined)
  if (archive.writable && archive.channels.length > 0 && !context.signal.aborted) await deliver(context, archive)
  return work
}

async function deliver(context: CommandContext, archive: OpenedArchive): Promise<void> {
  try {
    const { deliverAlerts } = await import('../pipeline/deliver-alerts.ts')
    const untilMs = context.clock.now() + DELIVERY_MS
    const { failures } = await deliverAlerts(archive, { untilMs, ignorePause: true }, context.signal)
    for (const { channel, error } of failures) {
      context.note(`warning: alerts wait for the channel "${channel}": ${error.message} (${error.code})`)
    }
  } catch (error) {
    // A disk that takes no writes is told by the work itself; an interruption is the person's wish.
    if (!(error instanceof ArchiveError)) throw error
    context.note(`warning: alerts were not sent: ${error.message} (${error.code})`)
  }
}
