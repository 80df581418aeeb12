import PQueue from 'p-queue'
import type { RepoRow } from '../archive-rows.ts'
import { nameEvents } from '../domain/diff-listings.ts'
import type { KeepPolicy } from '../domain/decision.ts'
import { ERROR_CODES, errorCodeOf, type ErrorCode } from '../domain/errors.ts'
import { onlyAddsDigests, type Listing, type Sibling } from '../domain/listing.ts'
import { decideFiles, policyKeyOf } from '../domain/policy.ts'
import { repoRefusal } from '../domain/repo-refusal.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { isWanted, watchOf } from '../domain/watch.ts'
import { witnessContradictions } from '../domain/witness.ts'
import { isSmallFile } from '../domain/weight-file.ts'
import type { Tree } from '../hub-port.ts'
import type { ScheduleEntry, UndigestedHead, UnlistedHead } from '../work-rows.ts'
import { announce, nowIso, raise, type PipelineDeps } from './deps.ts'
import { conflictEvent, raiseConflict } from './listing-conflict.ts'
import { describeReplaced, withHeaders } from './describe-replaced.ts'
import { describeUpdate } from './describe-update.ts'

/** What is kept of a repository that was named by hand and that no watch entry covers. */
export const DEFAULT_KEEP: KeepPolicy = {
  files: 'all',
  formats: undefined,
  quants: undefined,
  include: ['*'],
  exclude: [],
  maxRepoBytes: undefined,
}

/** Trees read at the same time: hides a round trip without spending the quota in a burst. */
const PARALLEL_TREES = 4

/** A commit whose listing could not be read. */
export interface PlanFailure {
  readonly repo: RepoRef
  readonly code: ErrorCode
  readonly message: string
}

/**
 * For every head without a listing: reads the tree at the commit, writes the listing, asks the policy, queues what is
 * wanted and not held. A tree that cannot be read completely leaves the head unlisted for the next try.
 * @param watch only heads of this watch; undefined = of all
 */
export async function planHeads(
  deps: PipelineDeps,
  watch: string | undefined,
  signal: AbortSignal,
): Promise<{ listed: number; failures: PlanFailure[] }> {
  const heads = await deps.catalog.unlistedHeads(watch)
  const queue = new PQueue({ concurrency: PARALLEL_TREES })
  const failures: PlanFailure[] = []
  let listed = 0
  for (const head of heads) {
    await queue.onSizeLessThan(PARALLEL_TREES * 2)
    signal.throwIfAborted()
    void queue.add(async () => {
      try {
        await planHead(deps, head, signal)
        listed += 1
      } catch (error) {
        if (signal.aborted) return
        const code = errorCodeOf(error)
        const message = repoRefusal(code) ?? (error instanceof Error ? error.message : String(error))
        failures.push({ repo: head.ref, code, message })
        const fields = { component: 'plan', repo: printRepo(head.ref), commit: head.commit, code, err: error }
        deps.log.warn(fields, 'listing not read')
      }
    })
  }
  await queue.onIdle()
  signal.throwIfAborted()
  await readWithheld(deps, watch, signal)
  return { listed, failures }
}

const REREAD_AFTER_MS = 24 * 60 * 60 * 1000

/**
 * Reads trees again whose digests the Hub withheld: once a day, and when the gate changed. A token that may see them may
 * be there by now. Both listings are kept; what could not be proven becomes wanted.
 */
async function readWithheld(deps: PipelineDeps, watch: string | undefined, signal: AbortSignal): Promise<void> {
  const now = nowIso(deps)
  const before = new Date(Date.parse(now) - REREAD_AFTER_MS).toISOString()
  for (const head of await deps.catalog.undigestedHeads(watch, { before, now })) {
    signal.throwIfAborted()
    try {
      await addWithheld(deps, head, signal)
    } catch (error) {
      signal.throwIfAborted()
      const code = errorCodeOf(error)
      if (ERROR_CODES[code].exitCode !== 8) throw error
      deps.log.warn({ component: 'plan', repo: printRepo(head.ref), code, err: error }, 'tree not read again')
    }
  }
}

async function addWithheld(deps: PipelineDeps, head: UndigestedHead, signal: AbortSignal): Promise<void> {
  const row = await deps.catalog.repoRowById(head.repoId)
  const snapshot = row?.newest
  if (row === undefined || snapshot?.snapshotId !== head.snapshotId) return
  const first = (await deps.records.readListing(snapshot.ref.name, head.commit))?.listing
  if (first === undefined) return
  const read = await readListing(deps, row, head, undefined, signal)
  const known = await filesOf(deps, head.snapshotId, signal)
  const next = { ...read, repo: first.repo }
  // Another promise for the same commit adds nothing: it is kept and told as the conflict it is.
  const isMore = onlyAddsDigests({ files: known, refused: first.refused }, next)
  await deps.blobs.assertMounted()
  const outcome = await deps.records.writeListing(next, signal)
  if (!isMore && outcome === 'conflict') await raiseConflict(deps, first, next)
  await deps.catalog.addDigests(head.snapshotId, isMore ? next.files : known, read.observedAt)
  const keep = keepOf(deps, row.ref, row.watch)
  const decisions = decideFiles(await filesOf(deps, head.snapshotId, signal), keep)
  await deps.catalog.redecide(head.snapshotId, decisions, policyKeyOf(keep), isSmallFile)
}

async function planHead(deps: PipelineDeps, head: UnlistedHead, signal: AbortSignal): Promise<void> {
  const row = await deps.catalog.repoRowById(head.repoId)
  if (row === undefined) return
  const first = (await deps.records.readListing(head.ref.name, head.commit))?.listing
  const read = await readListing(deps, row, head, first, signal)
  await deps.blobs.assertMounted()
  const outcome = await deps.records.writeListing(read, signal)
  // What was promised first stands, and the manifest is made from it.
  const hasMore = first !== undefined && onlyAddsDigests(first, read)
  const listing = first === undefined || hasMore ? read : first
  const previous = await previousListing(deps, row, head)
  const before = previous === undefined ? undefined : { listing: previous, snapshot: row.newest }
  const headers = await describeReplaced(deps, before, listing, signal)
  const keep = keepOf(deps, row.ref, row.watch)
  const recorded = await deps.catalog.recordListing({
    repoId: head.repoId,
    listing,
    decisions: decideFiles(listing.files, keep),
    policyKey: policyKeyOf(keep),
    isSmall: isSmallFile,
    events: [
      ...withHeaders(await describeUpdate(deps, row, previous, listing), headers),
      ...nameEvents(listing),
      ...(outcome === 'conflict' && !hasMore ? [conflictEvent(listing, read)] : []),
      ...witnessContradictions(listing, deps.witness),
    ],
  })
  announce(deps, recorded.events)
  const bytes = listing.files.reduce((sum, file) => sum + file.size, 0)
  deps.progress.listed(head.ref, head.commit, listing.files.length, bytes)
}

/**
 * What the Hub promises for a commit now. Where it was listed before (the process was killed before the catalog had it,
 * or the catalog was lost) that listing does when the Hub gives none.
 */
async function readListing(
  deps: PipelineDeps,
  row: RepoRow,
  head: UnlistedHead,
  first: Listing | undefined,
  signal: AbortSignal,
): Promise<Listing> {
  let tree: Tree
  try {
    tree = await deps.hub.readTree(head.ref, head.commit, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (first?.repo.hubId !== row.hubId || ERROR_CODES[errorCodeOf(error)].exitCode !== 8) throw error
    return first
  }
  const card = await deps.catalog.cardOf(head.repoId)
  return {
    format: 'weightvault-listing/1',
    repo: { ...head.ref, hubId: row.hubId },
    commit: head.commit,
    endpoint: deps.hub.endpoint,
    observedAt: nowIso(deps),
    createdAt: row.createdAt,
    lastModified: row.lastModified,
    gated: card.gated,
    license: row.license,
    tags: card.tags,
    cardData: card.cardData,
    files: tree.files,
    refused: tree.refused,
  }
}

async function previousListing(deps: PipelineDeps, row: RepoRow, head: UnlistedHead): Promise<Listing | undefined> {
  const newest = row.newest
  if (newest === undefined || newest.commit === head.commit) return undefined
  return (await deps.records.readListing(newest.ref.name, newest.commit))?.listing
}

/** What is kept of a repository: by the entry that claims it, else by the default. */
export function keepOf(deps: PipelineDeps, ref: RepoRef, watch: string): KeepPolicy {
  return watchOf(deps.settings.watches, ref, watch)?.keep ?? DEFAULT_KEEP
}

/**
 * Makes everything pending, and the newest snapshot of every repository, follow from the configuration: what another
 * policy decided is decided again, and what nobody watches any more is held until somebody does. Held files stay held.
 * @returns how many snapshots were decided again
 */
export async function applyPolicyChanges(deps: PipelineDeps, signal: AbortSignal): Promise<number> {
  const { watches } = deps.settings
  const moved: ScheduleEntry[] = []
  let redecided = 0
  for (const snapshot of await deps.catalog.decidedSnapshots()) {
    signal.throwIfAborted()
    const { snapshotId, rank } = snapshot
    const isHeld = snapshot.hold === 'unwatched'
    if (!isWanted(watches, snapshot.ref, snapshot.watch)) {
      if (snapshot.isPending && !isHeld) moved.push({ snapshotId, rank, hold: 'unwatched' })
      continue
    }
    // The next schedule admits what fits.
    if (isHeld) moved.push({ snapshotId, rank, hold: 'budget' })
    const keep = keepOf(deps, snapshot.ref, snapshot.watch)
    const policyKey = policyKeyOf(keep)
    if (policyKey === snapshot.policyKey) continue
    const decisions = decideFiles(await filesOf(deps, snapshotId, signal), keep)
    await deps.catalog.redecide(snapshotId, decisions, policyKey, isSmallFile)
    redecided += 1
  }
  if (moved.length > 0) await deps.catalog.applySchedule(moved)
  return redecided
}

const FILES_PER_PAGE = 2000

async function filesOf(deps: PipelineDeps, snapshotId: number, signal: AbortSignal): Promise<Sibling[]> {
  const files: Sibling[] = []
  let after: string | undefined
  for (;;) {
    signal.throwIfAborted()
    const page = await deps.catalog.files(snapshotId, { after, limit: FILES_PER_PAGE })
    files.push(...page)
    if (page.length < FILES_PER_PAGE) return files
    after = page.at(-1)?.path
  }
}

/** Writes events that are in the catalog but not yet in the journal files; called after every step that logs. */
export async function exportEvents(deps: PipelineDeps, signal: AbortSignal): Promise<void> {
  for (;;) {
    const events = await deps.catalog.eventsNotExported(1000)
    const last = events.at(-1)
    if (last === undefined) return
    await deps.blobs.assertMounted()
    await deps.records.appendEvents(events, signal)
    await deps.catalog.markExported(last.seq)
  }
}

/**
 * Raises `watch-failed` for heads whose listing cannot be read, once for each repository and code: every later poll
 * tries again in silence until the reason changes. An outage has its own event.
 */
export async function raisePlanFailures(deps: PipelineDeps, failures: readonly PlanFailure[]): Promise<void> {
  for (const failure of failures) {
    if (failure.code === 'HUB_UNREACHABLE' || failure.code === 'HUB_RATE_LIMITED') continue
    const [last] = await deps.catalog.events({ repo: failure.repo.name, type: 'watch-failed', limit: 1 })
    if (last?.after === failure.code) continue
    await raise(deps, [
      {
        type: 'watch-failed',
        severity: 'warning',
        repo: failure.repo,
        at: nowIso(deps),
        before: null,
        after: failure.code,
        detail: { message: failure.message },
      },
    ])
  }
}
