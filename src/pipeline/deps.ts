import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { Progress } from '../progress-port.ts'

/** What the pipeline works with: the opened archive, and whoever watches. */
export interface PipelineDeps extends OpenedArchive {
  readonly progress: Progress
}

/** ISO time of now. */
export function nowIso(deps: Pick<PipelineDeps, 'clock'>): string {
  return new Date(deps.clock.now()).toISOString()
}

/** Appends events to the log and tells whoever watches. */
export async function raise(deps: PipelineDeps, events: readonly ChangeEvent[]): Promise<LoggedEvent[]> {
  if (events.length === 0) return []
  const logged = await deps.catalog.appendEvents(events)
  announce(deps, logged)
  return logged
}

/** Tells whoever watches of events that are in the log already. */
export function announce(deps: PipelineDeps, events: readonly LoggedEvent[]): void {
  if (events.length > 0) deps.progress.events(events)
}
