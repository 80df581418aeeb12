import type { CommitId, HubId } from '../domain/digest.ts'
import { diffRepos, nameKey, type DiffContext, type RepoDiff } from '../domain/diff-repos.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import type { RepoFacts } from '../domain/repo.ts'
import { isExplained } from '../domain/repo-state.ts'
import { claimingWatch, type WatchEntry } from '../domain/watch.ts'
import type { HttpEvidence, RepoAnswer } from '../hub-port.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { KnownRepo, PollRecord, WatchState } from '../watch-rows.ts'
import { confirmLosses, doubtListing, NO_LOSSES, type Suspect } from './confirm-losses.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'
import { silenceEvents } from './hear-silence.ts'
import { failureEvents, recoveryEvents } from './hub-outage.ts'

/** What one poll of a watch found. */
export interface PollResult {
  readonly repos: number
  /** New or moved repositories. */
  readonly changed: number
  readonly events: number
}

/**
 * Polls one watch completely, compares by `_id`, and writes repositories, cursor and events in one transaction. A poll
 * that fails changes nothing but the watch's own state: silence and errors never mean a loss.
 * @throws ArchiveError what the Hub's failure was, after it is recorded
 */
export async function pollWatch(deps: PipelineDeps, watch: WatchEntry, signal: AbortSignal): Promise<PollResult> {
  // Open files of a disk that is gone still take writes, and lose them.
  await deps.blobs.assertMounted()
  const at = nowIso(deps)
  const states = await deps.catalog.watchStates()
  const state = states.find((entry) => entry.watch === watch.key)
  const known = await knownOf(deps, watch, states)
  let target: Listed
  try {
    target = await listTarget(deps, watch, known, signal)
  } catch (error) {
    signal.throwIfAborted()
    const events = await failureEvents(deps, states, { watch, code: errorCodeOf(error), at })
    const message = error instanceof Error ? error.message : String(error)
    announce(deps, await deps.catalog.recordPollFailure(watch.key, at, errorCodeOf(error), message, events))
    throw error
  }
  const { listed, evidence } = target
  const isFirst = state?.lastOkAt === undefined
  const before = await withAdopted(deps, known, listed)
  const formerOwners = isFirst ? undefined : await formerOwnersOf(deps, before, listed)
  const { licenseAllow, confirmLoss } = deps.settings
  const context: DiffContext = { at, isFirst, licenseAllow, parseSpdx, confirmLoss, formerOwners }
  const diff = diffRepos(before, listed, context)
  const suspects = suspectLosses(deps, watch, before, diff)
  const present = known.filter((repo) => !isExplained(repo.upstream)).length
  const doubt = watch.target.kind === 'repo' ? undefined : await doubtListing(deps, suspects, present, signal)
  const losses =
    doubt === undefined ? await confirmLosses(deps, suspects, { ...context, answer: target.answer }, signal) : NO_LOSSES
  const ofHub =
    doubt === undefined
      ? await recoveryEvents(deps, watch, at)
      : await failureEvents(deps, states, { watch, code: doubt.code, at, detail: doubt.detail })
  const isAlive = isFirst || diff.changed.length > 0 || doubt !== undefined
  const silence = await silenceEvents(deps, watch, { at, listed, isAlive, evidence })
  const record: PollRecord = {
    watch: watch.key,
    at,
    changed: [...diff.changed, ...losses.changed],
    unchanged: [...diff.unchanged, ...losses.unchanged],
    missing: losses.missing,
    states: losses.states,
    events: [...ofHub, ...diff.events, ...losses.events, ...silence],
    isFirst,
    evidence,
    doubt,
  }
  const logged = await deps.catalog.recordPoll(record)
  announce(deps, logged)
  deps.progress.polled(watch.key, listed.length, record.changed.length)
  return { repos: listed.length, changed: record.changed.length, events: logged.length }
}

/**
 * What this watch saw last, and what belongs to it although a watch that is not in the configuration saw it last: a pass
 * over one named repository, or an entry that was removed since. Its loss must be noticed, too.
 */
async function knownOf(deps: PipelineDeps, watch: WatchEntry, states: readonly WatchState[]): Promise<KnownRepo[]> {
  const known = await deps.catalog.reposOfWatch(watch.key)
  const configured = new Set(deps.settings.watches.map(({ key }) => key))
  if (!configured.has(watch.key)) return known
  for (const other of states) {
    if (other.repos === 0 || configured.has(other.watch)) continue
    const seen = await deps.catalog.reposOfWatch(other.watch)
    known.push(...seen.filter((repo) => claimingWatch(deps.settings.watches, repo.ref)?.key === watch.key))
  }
  return known
}

/** What a watch's target shows. */
interface Listed {
  readonly listed: readonly RepoFacts[]
  /** The Hub's own word on the one repository that is not listed: nothing has to be asked or waited for. */
  readonly answer?: RepoAnswer | undefined
  readonly evidence: HttpEvidence
}

async function listTarget(
  deps: PipelineDeps,
  watch: WatchEntry,
  known: readonly KnownRepo[],
  signal: AbortSignal,
): Promise<Listed> {
  const { target } = watch
  if (target.kind === 'repo') {
    const answer = await deps.hub.askRepo(target.ref, signal)
    return answerAsListing(watch, answer.kind === 'moved' ? await deps.hub.askRepo(answer.to, signal) : answer, known)
  }
  const listing = await deps.hub.listOwner(target.owner, 'model', signal)
  for (const row of listing.refused) {
    deps.log.warn({ component: 'watch', watch: watch.key, repo: row.name, reason: row.reason }, 'listing row refused')
  }
  return {
    listed: listing.repos.filter((facts) => claimingWatch(deps.settings.watches, facts.ref)?.key === watch.key),
    evidence: listing.evidence,
  }
}

/** A single repository's answer read as a listing of one owner with one repository. */
function answerAsListing(watch: WatchEntry, answer: RepoAnswer, known: readonly KnownRepo[]): Listed {
  const { evidence } = answer
  switch (answer.kind) {
    case 'found':
      return { listed: [answer.facts], evidence }
    case 'moved':
      return { listed: [], evidence }
    case 'disabled':
      if (known.length > 0) return { listed: [], answer, evidence }
      throw new ArchiveError('REPO_DISABLED', `the Hub has disabled access to ${watch.key}`, {
        hint: 'what is archived stays; the next poll asks again',
      })
    case 'missing':
      if (known.length > 0) return { listed: [], evidence }
      throw new ArchiveError(
        'REPO_UNAVAILABLE',
        `the Hub does not show ${watch.key} (HTTP ${answer.evidence.status})`,
        {
          hint: 'it may be private, misspelt or gone; check the name in the watch list, or set a token that may read it',
        },
      )
  }
}

/** Repositories that another watch or an earlier name brought in: they are known although this watch did not list them. */
async function withAdopted(
  deps: PipelineDeps,
  known: readonly KnownRepo[],
  listed: readonly RepoFacts[],
): Promise<KnownRepo[]> {
  const ids = new Set<HubId>(known.map((repo) => repo.hubId))
  const adopted: KnownRepo[] = []
  for (const facts of listed) {
    if (ids.has(facts.hubId)) continue
    const repo = await deps.catalog.repoByHubId(facts.hubId)
    if (repo !== undefined) adopted.push(repo)
  }
  return [...known, ...adopted]
}

/**
 * Whoever was archived under the name of a repository that is new: it gave the name away, and another took it. Not asked
 * for the backlog of a first poll, which takes nothing from anybody.
 */
async function formerOwnersOf(
  deps: PipelineDeps,
  known: readonly KnownRepo[],
  listed: readonly RepoFacts[],
): Promise<DiffContext['formerOwners']> {
  const ids = new Set<HubId>(known.map((repo) => repo.hubId))
  const owners = new Map<string, { hubId: HubId; head: CommitId | undefined }>()
  for (const { hubId, ref } of listed) {
    if (ids.has(hubId)) continue
    const [first] = await deps.catalog.reposNamed(ref)
    if (first !== undefined && first.hubId !== hubId) owners.set(nameKey(ref), first)
  }
  return owners
}

/** Missing repositories of this watch; one that a more specific watch took over is not missing. */
function suspectLosses(
  deps: PipelineDeps,
  watch: WatchEntry,
  known: readonly KnownRepo[],
  diff: RepoDiff,
): readonly Suspect[] {
  const misses = new Map(diff.missing.map((miss) => [miss.repoId, miss]))
  return known.flatMap((repo) => {
    const miss = misses.get(repo.repoId)
    if (miss === undefined) return []
    const claimedElsewhere =
      watch.target.kind !== 'repo' && claimingWatch(deps.settings.watches, repo.ref)?.key !== watch.key
    return claimedElsewhere ? [] : [{ ...repo, miss }]
  })
}
