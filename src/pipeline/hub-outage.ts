import type { ErrorCode } from '../domain/errors.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { WatchEntry } from '../domain/watch.ts'
import type { WatchState } from '../watch-rows.ts'
import type { PipelineDeps } from './deps.ts'

/** What says something about the Hub, or what is between us, and nothing about a repository. */
const UNREACHABLE: ReadonlySet<ErrorCode> = new Set([
  'HUB_UNREACHABLE',
  'HUB_RATE_LIMITED',
  'HUB_ANSWER_INVALID',
  'HUB_ANSWER_TOO_LARGE',
  'LISTING_INCOMPLETE',
])

/** One `hub-unreachable` for an outage, however many watches meet it; one `watch-failed` for a watch's own trouble. */
export async function failureEvents(
  deps: PipelineDeps,
  states: readonly WatchState[],
  failure: {
    readonly watch: WatchEntry
    readonly code: ErrorCode
    readonly at: string
    readonly detail?: Readonly<Record<string, unknown>>
  },
): Promise<ChangeEvent[]> {
  const { watch, code, at, detail } = failure
  const state = states.find((entry) => entry.watch === watch.key)
  if (state?.lastErrorCode === code) return []
  const base = { repo: undefined, at, before: null, after: code, detail: { watch: watch.key, ...detail } }
  if (!UNREACHABLE.has(code)) return [{ ...base, type: 'watch-failed', severity: 'warning' }]
  return (await openOutage(deps)) !== undefined ? [] : [{ ...base, type: 'hub-unreachable', severity: 'warning' }]
}

/** The first poll that succeeds ends an outage, whichever watch it is. */
export async function recoveryEvents(deps: PipelineDeps, watch: WatchEntry, at: string): Promise<ChangeEvent[]> {
  const outage = await openOutage(deps)
  if (outage === undefined) return []
  return [
    {
      type: 'hub-reachable',
      severity: 'notice',
      repo: undefined,
      at,
      before: outage.after,
      after: 'ok',
      detail: { watch: watch.key },
    },
  ]
}

/**
 * The event of an outage that no later event ended. The states of watches cannot tell: some are never polled again, and
 * a failure of another kind may have come since.
 */
async function openOutage(deps: PipelineDeps): Promise<LoggedEvent | undefined> {
  const [lost] = await deps.catalog.events({ type: 'hub-unreachable', limit: 1 })
  const [found] = await deps.catalog.events({ type: 'hub-reachable', limit: 1 })
  return lost !== undefined && lost.seq > (found?.seq ?? 0) ? lost : undefined
}
