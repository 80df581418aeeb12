import PQueue from 'p-queue'
import { errorCodeOf } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { isHubAway, isOfTheHub } from '../domain/hub-refusal.ts'
import { historyEvents, refEvents, type HubRef } from '../domain/ref-changes.ts'
import { printRepo } from '../domain/repo.ts'
import type { DueRefs } from '../watch-rows.ts'
import { purgedSince } from './probe-bytes.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

/** Repositories asked at the same time. */
const PARALLEL = 4
/** Branches and tags of a repository whose head does not move are read again after this. */
const READ_AGAIN_AFTER_MS = 7 * 24 * 60 * 60 * 1000
/** And of so many such repositories with one poll: what a poll costs stays what changed. */
const READ_AGAIN = 5

/**
 * Reads branches and tags of a watch's repositories whose head moved since they were read last, and of some others in
 * turn, and the history of each moved head: two requests a changed repository. What cannot be read concludes nothing.
 */
export async function followRefs(deps: PipelineDeps, watch: string, signal: AbortSignal): Promise<void> {
  const now = nowIso(deps)
  const before = new Date(Date.parse(now) - READ_AGAIN_AFTER_MS).toISOString()
  const due = await deps.catalog.dueRefs({ watch, before, now, again: READ_AGAIN })
  const queue = new PQueue({ concurrency: PARALLEL })
  const state: { bug?: Error; isHubAway: boolean } = { isHubAway: false }
  for (const repo of due) {
    await queue.onSizeLessThan(PARALLEL)
    if (signal.aborted || state.isHubAway || state.bug !== undefined) break
    void queue.add(async () => {
      try {
        await followRepo(deps, repo, signal)
      } catch (error) {
        if (signal.aborted) return
        if (isHubAway(errorCodeOf(error))) state.isHubAway = true
        else state.bug ??= error instanceof Error ? error : new Error(String(error))
      }
    })
  }
  await queue.onIdle()
  signal.throwIfAborted()
  if (state.bug !== undefined) throw state.bug
}

/** @throws ArchiveError HUB_UNREACHABLE and HUB_RATE_LIMITED; of another refusal nothing is concluded */
async function followRepo(deps: PipelineDeps, repo: DueRefs, signal: AbortSignal): Promise<void> {
  const { repoId, ref, head, known } = repo
  let refs: readonly HubRef[] = known?.refs ?? []
  let events: ChangeEvent[] = []
  try {
    refs = await deps.hub.readRefs(ref, signal)
    const at = nowIso(deps)
    events = known === undefined ? [] : refEvents(ref, known.refs, refs, at)
    if (known !== undefined && known.head !== head) {
      const log = await deps.hub.readCommits(ref, head, signal)
      const wasKnown = await wasHeadBefore(deps, repo)
      events.unshift(...historyEvents(ref, { before: known.head, after: head }, log, { at, wasKnown }))
    }
  } catch (error) {
    signal.throwIfAborted()
    const code = errorCodeOf(error)
    if (!isOfTheHub(code) || isHubAway(code)) throw error
    const fields = { component: 'watch', repo: printRepo(ref), code, err: error }
    deps.log.warn(fields, 'branches and tags not read')
  }
  // One that is only read again in turn is asked for its bytes, too.
  if (known?.head === head) events.push(...(await purgedSince(deps, repo, signal)))
  announce(deps, await deps.catalog.recordRefs({ repoId, head, refs, at: nowIso(deps), events }))
}

/** Whether the new head was listed before the old one: then the branch went back. */
async function wasHeadBefore(deps: PipelineDeps, { repoId, head, known }: DueRefs): Promise<boolean> {
  if (known === undefined) return false
  const [now, old] = await Promise.all([deps.catalog.snapshot(repoId, head), deps.catalog.snapshot(repoId, known.head)])
  return now !== undefined && old !== undefined && now.snapshotId < old.snapshotId
}
