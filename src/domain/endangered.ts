import type { ChangeEvent, EventType } from './events.ts'

const ALWAYS: ReadonlySet<EventType> = new Set(['repo-unavailable', 'bytes-purged', 'org-silent'])
const LICENSE: ReadonlySet<EventType> = new Set(['license-changed', 'license-text-changed'])

/**
 * Whether an event says that what is not held yet may soon be out of reach: what it is about goes to the front of the
 * queue.
 */
export function endangers(event: Pick<ChangeEvent, 'type' | 'severity' | 'after'>): boolean {
  if (ALWAYS.has(event.type)) return true
  // The gate went up, or the lock was set; both events tell the other direction, too.
  if (event.type === 'gate-changed' || event.type === 'repo-disabled') return event.after !== false
  // Critical is what takes permissions away.
  return LICENSE.has(event.type) && event.severity === 'critical'
}
