import type { ActivityReport } from '../pipeline/activity.ts'
import type { OpenedArchive } from '../opened-archive.ts'

const MAX_ACTIVE = 1000

/**
 * What the running service does now; undefined when none runs. The answer comes from another process, perhaps of another
 * version: what is not as expected is left out.
 * @throws ArchiveError SERVICE_UNAVAILABLE
 */
export async function readActivity(
  archive: Pick<OpenedArchive, 'service'>,
  signal: AbortSignal,
): Promise<ActivityReport | undefined> {
  if (archive.service === undefined) return undefined
  const answer = fieldsOf(await archive.service.request('status', {}, signal))
  const active = answer['active']
  const waiting = fieldsOf(answer['waiting'])
  return {
    startedAt: text(answer['startedAt']),
    bytesPerSecond: count(answer['bytesPerSecond']),
    active: Array.isArray(active) ? active.slice(0, MAX_ACTIVE).map(readActive) : [],
    waiting:
      typeof waiting['reason'] === 'string'
        ? { reason: waiting['reason'], until: typeof waiting['until'] === 'string' ? waiting['until'] : undefined }
        : undefined,
  }
}

function readActive(entry: unknown): ActivityReport['active'][number] {
  const fields = fieldsOf(entry)
  return {
    repo: text(fields['repo']),
    path: text(fields['path']),
    size: count(fields['size']),
    done: count(fields['done']),
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0
}
