import type { HubId } from '../domain/digest.ts'
import { diffRepos, isLossDue, upstreamOf, type DiffContext, type RepoDiff } from '../domain/diff-repos.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import { printRepo, type RepoFacts } from '../domain/repo.ts'
import { claimingWatch, type WatchEntry } from '../domain/watch.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { KnownRepo, PollRecord, UpstreamState, WatchState } from '../catalog-rows.ts'
import type { RepoAnswer } from '../ports.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

/** What one poll of a watch found. */
export interface PollResult {
  readonly repos: number
  /** New or moved repositories. */
  readonly changed: number
  readonly events: number
}

/**
 * Direct questions about missing repositories in one poll: enough for any real day, few enough that an emptied listing
 * does not spend the quota.
 */
const MAX_LOSS_QUESTIONS = 20

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
    const events = await failureEvents(deps, states, watch, error, at)
    const message = error instanceof Error ? error.message : String(error)
    announce(deps, await deps.catalog.recordPollFailure(watch.key, at, errorCodeOf(error), message, events))
    throw error
  }
  const { listed } = target
  const before = await withAdopted(deps, known, listed)
  const context = { at, isFirst: state?.lastOkAt === undefined, licenseAllow: deps.settings.licenseAllow, parseSpdx }
  const diff = diffRepos(before, listed, context)
  const suspects = suspectLosses(deps, watch, before, diff)
  const losses = await confirmLosses(deps, suspects, { ...context, answer: target.answer }, signal)
  const record: PollRecord = {
    watch: watch.key,
    at,
    changed: [...diff.changed, ...losses.changed],
    unchanged: [...diff.unchanged, ...losses.unchanged],
    missing: losses.missing,
    states: losses.states,
    events: [...(await recoveryEvents(deps, watch, at)), ...diff.events, ...losses.events],
    isFirst: context.isFirst,
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
  }
}

/** A single repository's answer read as a listing of one owner with one repository. */
function answerAsListing(watch: WatchEntry, answer: RepoAnswer, known: readonly KnownRepo[]): Listed {
  switch (answer.kind) {
    case 'found':
      return { listed: [answer.facts] }
    case 'moved':
      return { listed: [] }
    case 'disabled':
      if (known.length > 0) return { listed: [], answer }
      throw new ArchiveError('REPO_DISABLED', `the Hub has disabled access to ${watch.key}`, {
        hint: 'what is archived stays; the next poll asks again',
      })
    case 'missing':
      if (known.length > 0) return { listed: [] }
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

interface Losses {
  readonly missing: PollRecord['missing']
  /** Not listed, but there when asked directly: their misses start anew, and their facts count like a listing's. */
  readonly changed: PollRecord['changed']
  readonly unchanged: readonly number[]
  readonly states: PollRecord['states']
  readonly events: readonly ChangeEvent[]
}

interface Suspect extends KnownRepo {
  readonly miss: PollRecord['missing'][number]
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

/**
 * Asks for every repository that has been missing often and long enough. Only a direct answer that it is not there
 * makes it `unavailable`; a redirect is a rename; an answer that it is there clears the misses.
 */
async function confirmLosses(
  deps: PipelineDeps,
  suspects: readonly Suspect[],
  context: DiffContext & Pick<Listed, 'answer'>,
  signal: AbortSignal,
): Promise<Losses> {
  const { at } = context
  const missing: PollRecord['missing'][number][] = []
  const changed: PollRecord['changed'][number][] = []
  const unchanged: number[] = []
  const states: PollRecord['states'][number][] = []
  const events: ChangeEvent[] = []
  let questions = 0
  for (const suspect of suspects) {
    const isDue = isLossDue(suspect.miss, at, deps.settings.confirmLoss) && questions < MAX_LOSS_QUESTIONS
    const isAsked = isDue && context.answer === undefined
    if (isAsked) questions += 1
    const answer = isAsked ? await askQuietly(deps, suspect, signal) : context.answer
    if (answer === undefined) {
      missing.push(suspect.miss)
      continue
    }
    if (answer.kind === 'found') {
      const diff = diffRepos(await withAdopted(deps, [suspect], [answer.facts]), [answer.facts], context)
      changed.push(...diff.changed)
      unchanged.push(...diff.unchanged)
      events.push(...diff.events)
      // Another repository that has the name now; this one is gone, and its events have said so.
      if (answer.facts.hubId !== suspect.hubId) continue
    }
    const found = judgeAnswer(suspect, answer, suspect.miss.misses, at)
    states.push({ repoId: suspect.repoId, upstream: found.upstream, evidence: found.evidence })
    if (found.event !== undefined) events.push(found.event)
  }
  return { missing, changed, unchanged, states, events }
}

/** An answer that could not be had concludes nothing: the miss stays, and the next poll asks again. */
async function askQuietly(deps: PipelineDeps, repo: KnownRepo, signal: AbortSignal): Promise<RepoAnswer | undefined> {
  try {
    return await deps.hub.askRepo(repo.ref, signal)
  } catch (error) {
    signal.throwIfAborted()
    deps.log.warn(
      { component: 'watch', repo: printRepo(repo.ref), code: errorCodeOf(error), err: error },
      'loss not confirmed',
    )
    return undefined
  }
}

function judgeAnswer(
  repo: KnownRepo,
  answer: RepoAnswer,
  misses: number,
  at: string,
): { upstream: UpstreamState; evidence: unknown; event: ChangeEvent | undefined } {
  const base = { repo: repo.ref, at, before: repo.upstream, detail: { misses, firstMissAt: repo.firstMissAt ?? at } }
  switch (answer.kind) {
    case 'found':
      return { upstream: upstreamOf(answer.facts), evidence: { listed: false, answered: true, at }, event: undefined }
    case 'disabled':
      return {
        upstream: 'disabled',
        evidence: { at },
        // Its absence from the list makes us ask again with every poll; it is news only once.
        event:
          repo.upstream === 'disabled'
            ? undefined
            : { ...base, type: 'repo-disabled', severity: 'critical', after: 'disabled' },
      }
    case 'moved':
      return {
        upstream: 'renamed',
        evidence: { to: printRepo(answer.to), at },
        event: {
          ...base,
          type: 'repo-renamed',
          severity: 'warning',
          before: printRepo(repo.ref),
          after: printRepo(answer.to),
        },
      }
    case 'missing':
      return {
        upstream: 'unavailable',
        evidence: answer.evidence,
        event: {
          ...base,
          type: 'repo-unavailable',
          severity: 'critical',
          after: 'unavailable',
          detail: { ...base.detail, evidence: answer.evidence },
        },
      }
  }
}

const UNREACHABLE = new Set(['HUB_UNREACHABLE', 'HUB_RATE_LIMITED', 'HUB_ANSWER_INVALID', 'HUB_ANSWER_TOO_LARGE'])

/** One `hub-unreachable` for an outage, however many watches meet it; one `watch-failed` for a watch's own trouble. */
async function failureEvents(
  deps: PipelineDeps,
  states: readonly WatchState[],
  watch: WatchEntry,
  error: unknown,
  at: string,
): Promise<ChangeEvent[]> {
  const code = errorCodeOf(error)
  const state = states.find((entry) => entry.watch === watch.key)
  if (state?.lastErrorCode === code) return []
  const base = { repo: undefined, at, before: null, after: code, detail: { watch: watch.key } }
  if (!UNREACHABLE.has(code)) return [{ ...base, type: 'watch-failed', severity: 'warning' }]
  return (await openOutage(deps)) !== undefined ? [] : [{ ...base, type: 'hub-unreachable', severity: 'warning' }]
}

/** The first poll that succeeds ends an outage, whichever watch it is. */
async function recoveryEvents(deps: PipelineDeps, watch: WatchEntry, at: string): Promise<ChangeEvent[]> {
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
