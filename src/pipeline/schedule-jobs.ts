import type { ContentKey } from '../domain/listing.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import { scheduleSnapshots, type Candidate } from '../domain/schedule.ts'
import { isInsideWindow } from '../domain/settings.ts'
import type { PendingSnapshot } from '../work-rows.ts'
import { nowIso, raise, type PipelineDeps } from './deps.ts'
import { measureStored } from './disk-room.ts'

/** What the budget and the disk hold back after scheduling. */
export interface Held {
  readonly byBudget: number
  readonly byReserve: number
}

/**
 * Decides anew which pending snapshots may move and in which order, from the budget and the free disk space of this
 * moment. Raises `budget-reached` or `disk-low` once when something is first held back.
 * @param before what was held back at the last call, to raise each event once
 */
export async function scheduleJobs(deps: PipelineDeps, before: Held | undefined): Promise<Held> {
  const [pending, stored] = await Promise.all([
    deps.catalog.pendingSnapshots(),
    measureStored(deps, new Map<ContentKey, number>()),
  ])
  const { budgetBytes, reserveBytes } = deps.settings
  const { usedBytes, freeBytes, partials } = stored
  const [budgetLeft, diskLeft] = [budgetBytes - usedBytes, freeBytes - reserveBytes]
  const entries = scheduleSnapshots(
    pending.map((snapshot) => candidateOf(snapshot, partials)),
    {
      budgetBytes: budgetLeft,
      diskBytes: diskLeft,
      smallBytes: await deps.catalog.smallBytesToFetch(Math.max(0, Math.min(budgetLeft, diskLeft))),
    },
  )
  await deps.catalog.applySchedule(entries)
  if ((await deps.catalog.scheduleBasis()) !== basisOf(deps)) await deps.catalog.setScheduleBasis(basisOf(deps))
  const held = {
    byBudget: entries.filter((entry) => entry.hold === 'budget').length,
    byReserve: entries.filter((entry) => entry.hold === 'reserve').length,
  }
  const detail = { usedBytes, budgetBytes, freeBytes, reserveBytes }
  if (held.byBudget > 0 && (before?.byBudget ?? 0) === 0) {
    await raiseOnce(deps, 'budget-reached', { ...detail, snapshotsHeldBack: held.byBudget })
  }
  if (held.byReserve > 0 && (before?.byReserve ?? 0) === 0) {
    await raiseOnce(deps, 'disk-low', { ...detail, snapshotsHeldBack: held.byReserve })
  }
  return held
}

/** Whether the budget or the reserve was set otherwise when it was last scheduled. */
export async function isScheduleStale(deps: PipelineDeps): Promise<boolean> {
  return (await deps.catalog.scheduleBasis()) !== basisOf(deps)
}

function basisOf({ settings }: PipelineDeps): string {
  return `${settings.budgetBytes} ${settings.reserveBytes}`
}

const GONE = new Set<UpstreamState>(['unavailable', 'disabled', 'recreated'])

function candidateOf(snapshot: PendingSnapshot, partials: ReadonlyMap<ContentKey, number>): Candidate {
  const { large, upstream, blockedBy, refusalCode, ...rest } = snapshot
  return {
    ...rest,
    large: large.map(({ jobId, key, size }) => ({ id: jobId, size, startedBytes: partials.get(key) ?? 0 })),
    refusedAs: refusalCode === undefined ? undefined : refusalCode === 'REPO_GATED' ? 'gated' : 'unavailable',
    isGone: GONE.has(upstream) || blockedBy === 'SNAPSHOT_UNKNOWN',
  }
}

/** Once a day at most: a service restarted every hour must not repeat the same news every hour. */
const REPEAT_AFTER_MS = 24 * 60 * 60 * 1000

async function raiseOnce(
  deps: PipelineDeps,
  type: 'budget-reached' | 'disk-low',
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [last] = await deps.catalog.events({ type, limit: 1 })
  if (last !== undefined && Math.abs(deps.clock.now() - Date.parse(last.at)) < REPEAT_AFTER_MS) return
  await raise(deps, [
    { type, severity: 'warning', repo: undefined, at: nowIso(deps), before: null, after: type, detail },
  ])
}

/** Whether the configured hours let large files move at this moment of the local day. */
export function mayLargeFilesMove(deps: Pick<PipelineDeps, 'clock' | 'settings'>): boolean {
  const now = new Date(deps.clock.now())
  return isInsideWindow(deps.settings.window, now.getHours() * 60 + now.getMinutes())
}
