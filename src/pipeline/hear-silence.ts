import type { ChangeEvent } from '../domain/events.ts'
import { isClockTrusted, judgeSilence } from '../domain/silence.ts'
import type { WatchEntry } from '../domain/watch.ts'
import type { RepoFacts } from '../domain/repo.ts'
import type { HttpEvidence } from '../hub-port.ts'
import type { RepoActivity } from '../watch-rows.ts'
import type { PipelineDeps } from './deps.ts'

/** A head that is listed later than this after it was first seen is another one than was there at first. */
const FIRST_LISTING_MS = 24 * 60 * 60 * 1000
/** Silences that are remembered: more owners than anybody watches. */
const REMEMBERED = 1000

/**
 * `org-silent` when an owner's last sign of life is unusually long ago: once for each silence, which ends with the next
 * publication or update. Nothing while our clock and the Hub's disagree.
 * @param listed what the poll saw
 * @param isAlive whether the poll itself found something new
 */
export async function silenceEvents(
  deps: PipelineDeps,
  watch: WatchEntry,
  poll: {
    readonly at: string
    readonly listed: readonly RepoFacts[]
    readonly isAlive: boolean
    readonly evidence: HttpEvidence
  },
): Promise<ChangeEvent[]> {
  const { silentAfterMs } = watch
  const nowMs = Date.parse(poll.at)
  if (silentAfterMs === undefined || poll.isAlive || watch.target.kind === 'repo') return []
  if (!isClockTrusted(nowMs, poll.evidence.headers['date'])) return []
  const known = await deps.catalog.activityOf(watch.key)
  if (known.length === 0) return []
  const told = [...poll.listed, ...known].flatMap(({ createdAt, lastModified }) => [createdAt, lastModified])
  const times = [...told, ...known.flatMap(noticed)].flatMap((time) => (time === undefined ? [] : [Date.parse(time)]))
  const watchedSinceMs = Math.min(...known.map((repo) => Date.parse(repo.firstSeenAt)))
  const silence = judgeSilence(times, { nowMs, watchedSinceMs, silentAfterMs })
  if (silence === undefined) return []
  const since = new Date(silence.sinceMs).toISOString()
  const before = await deps.catalog.events({ type: 'org-silent', limit: REMEMBERED })
  if (before.findLast((event) => event.detail['watch'] === watch.key)?.before === since) return []
  return [
    {
      type: 'org-silent',
      severity: 'warning',
      repo: undefined,
      at: poll.at,
      before: since,
      after: 'silent',
      detail: {
        watch: watch.key,
        owner: watch.target.owner,
        reason: silence.reason,
        quietDays: daysOf(silence.quietMs),
        longestPauseDays: silence.longestPauseMs === undefined ? null : daysOf(silence.longestPauseMs),
      },
    },
  ]
}

/** When we saw it come or change: its own dates may be older, because it was made in private. */
function noticed({ isNewRelease, firstSeenAt, listedAt }: RepoActivity): string[] {
  const isUpdate = listedAt !== undefined && Date.parse(listedAt) - Date.parse(firstSeenAt) > FIRST_LISTING_MS
  return [...(isNewRelease ? [firstSeenAt] : []), ...(isUpdate ? [listedAt] : [])]
}

function daysOf(ms: number): number {
  return Math.floor(ms / (24 * 60 * 60 * 1000))
}
