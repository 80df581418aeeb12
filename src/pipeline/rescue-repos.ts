import type { RepoRow } from '../archive-rows.ts'
import { decideFiles, policyKeyOf } from '../domain/policy.ts'
import type { CommitId } from '../domain/digest.ts'
import { endangers } from '../domain/endangered.ts'
import { errorCodeOf } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { isHubAway, isOfTheHub } from '../domain/hub-refusal.ts'
import type { Listing } from '../domain/listing.ts'
import { printRepo } from '../domain/repo.ts'
import { isSmallFile } from '../domain/weight-file.ts'
import type { RescueRow } from '../work-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'
import { keepOf } from './plan-snapshots.ts'

/** Old commits of one repository that are looked at, the newest first. */
const MAX_OLD_COMMITS = 50
/** Requests of one call: a whole organisation takes several, and never the quota. */
const MAX_QUESTIONS = 100
const EVENTS_PER_PAGE = 1000

/**
 * Puts in front whatever an event since the last call endangers: its repository, or with an organisation all of its
 * repositories. The events are read from the log, so that none is forgotten when the process is killed after writing it.
 */
export async function startEndangered(deps: PipelineDeps): Promise<void> {
  for (;;) {
    const since = await deps.catalog.rescueCursor()
    const events = await deps.catalog.events({ since, limit: EVENTS_PER_PAGE })
    const last = events.at(-1)
    if (last === undefined) return
    const causes = new Map<number, string>()
    for (const event of events) {
      if (!endangers(event)) continue
      for (const repoId of await reposOfEvent(deps, event)) causes.set(repoId, event.type)
    }
    // Bytes that were just looked for in vain need not be looked for again at once.
    const repos = [...causes].map(([repoId, cause]) => ({ repoId, cause, isDueNow: cause !== 'bytes-purged' }))
    await deps.catalog.startRescues({ repos, at: nowIso(deps), upToSeq: last.seq })
  }
}

/** Both steps, as after every poll. */
export async function rescueEndangered(deps: PipelineDeps, signal: AbortSignal): Promise<void> {
  await startEndangered(deps)
  await continueRescues(deps, signal)
}

/**
 * What a person asked for, put in front; `continueRescues` looks for its old commits.
 * @param repoIds ids as another process sent them
 */
export async function askRescue(deps: Pick<PipelineDeps, 'catalog' | 'clock'>, repoIds: unknown): Promise<void> {
  if (!Array.isArray(repoIds) || !repoIds.every((id) => Number.isSafeInteger(id))) throw new Error('no list of ids')
  const repos = (repoIds as number[]).map((repoId) => ({ repoId, cause: 'asked', isDueNow: true }))
  await deps.catalog.startRescues({ repos, at: nowIso(deps), upToSeq: undefined })
}

async function reposOfEvent(deps: PipelineDeps, event: LoggedEvent): Promise<number[]> {
  if (event.repo !== undefined) return (await deps.catalog.reposNamed(event.repo)).map(({ repoId }) => repoId)
  const watch = event.detail['watch']
  if (typeof watch !== 'string') return []
  return (await deps.catalog.reposOfWatch(watch)).map(({ repoId }) => repoId)
}

/**
 * Looks for old commits of what is being rescued that the Hub still shows, lists each and queues what the policy wants of
 * it. Bounded in requests: the next call goes on. An outage ends it without an error.
 * @returns how many rescues are still to be done
 */
export async function continueRescues(deps: PipelineDeps, signal: AbortSignal): Promise<number> {
  const pending = await deps.catalog.rescues({ pendingOnly: true, limit: MAX_QUESTIONS })
  let questions = 0
  let done = 0
  for (const rescue of pending) {
    if (questions >= MAX_QUESTIONS) break
    const asked = await rescueRepo(deps, rescue, signal)
    if (asked === undefined) break
    questions += asked
    done += 1
  }
  return pending.length - done
}

/** Returns how many requests it took; undefined when the Hub is away and nothing was finished. */
async function rescueRepo(deps: PipelineDeps, rescue: RescueRow, signal: AbortSignal): Promise<number | undefined> {
  const row = await deps.catalog.repoRowById(rescue.repoId)
  if (row === undefined) return 0
  let found = 0
  let tried = 0
  try {
    const commits = await oldCommits(deps, row, signal)
    // The oldest first: the last listed one is the newest.
    for (const commit of commits.toReversed()) {
      tried += 1
      if (await listOldCommit(deps, row, commit, signal)) found += 1
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!isOfTheHub(errorCodeOf(error))) throw error
    deps.log.warn(
      { component: 'rescue', repo: printRepo(row.ref), code: errorCodeOf(error), err: error },
      'rescue paused',
    )
    return undefined
  }
  if (found > 0) await deps.catalog.bump(row.repoId)
  await deps.catalog.noteRescue(row.repoId, { tried, found, doneAt: nowIso(deps) })
  const fields = {
    component: 'rescue',
    repo: printRepo(row.ref),
    cause: rescue.cause,
    commitsTried: tried,
    commitsFound: found,
  }
  deps.log.info({ ...fields, missingBytes: rescue.missingBytes }, 'repository put in front')
  return tried + 1
}

/** Commits before the head that have no snapshot yet, newest first. None where the history cannot be read. */
async function oldCommits(deps: PipelineDeps, row: RepoRow, signal: AbortSignal): Promise<CommitId[]> {
  const known = new Set(row.snapshots.map((snapshot) => snapshot.commit))
  // Every head we ever saw may hold commits that the others do not.
  const heads = [...new Set([row.head, ...known])].filter((commit) => commit !== undefined).slice(0, 3)
  const commits = new Set<CommitId>()
  for (const head of heads) {
    const log = await refusedAs(undefined, signal, () => deps.hub.readCommits(row.ref, head, signal))
    for (const commit of log?.commits ?? []) if (!known.has(commit)) commits.add(commit)
  }
  if (row.head !== undefined) commits.delete(row.head)
  return [...commits].slice(0, MAX_OLD_COMMITS)
}

/** Lists a commit that was never listed. Of its card nothing is known: what the repository says now is not what it said. */
async function listOldCommit(
  deps: PipelineDeps,
  row: RepoRow,
  commit: CommitId,
  signal: AbortSignal,
): Promise<boolean> {
  const tree = await refusedAs(undefined, signal, () => deps.hub.readTree(row.ref, commit, signal))
  if (tree === undefined) return false
  const listing: Listing = {
    format: 'weightvault-listing/1',
    repo: { ...row.ref, hubId: row.hubId },
    commit,
    endpoint: deps.hub.endpoint,
    observedAt: nowIso(deps),
    createdAt: row.createdAt,
    lastModified: undefined,
    gated: false,
    license: { license: undefined, license_name: undefined, license_link: undefined },
    tags: [],
    cardData: undefined,
    files: tree.files,
    refused: tree.refused,
  }
  await deps.blobs.assertMounted()
  await deps.records.writeListing(listing, signal)
  const first = (await deps.records.readListing(row.ref.name, commit))?.listing ?? listing
  const keep = keepOf(deps, row.ref, row.watch)
  const recorded = await deps.catalog.recordListing({
    repoId: row.repoId,
    listing: first,
    decisions: decideFiles(first.files, keep),
    policyKey: policyKeyOf(keep),
    isSmall: isSmallFile,
    events: [],
  })
  announce(deps, recorded.events)
  deps.progress.listed(
    row.ref,
    commit,
    first.files.length,
    first.files.reduce((sum, file) => sum + file.size, 0),
  )
  return true
}

/** What the Hub refuses about a repository or a commit is an answer here; an outage is not. */
async function refusedAs<T>(otherwise: undefined, signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    signal.throwIfAborted()
    const code = errorCodeOf(error)
    if (!isOfTheHub(code) || isHubAway(code)) throw error
    return otherwise
  }
}
