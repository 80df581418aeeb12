import { diffRepos, presentFacts, standingOf, type DiffContext, type Missing } from '../domain/diff-repos.ts'
import { ArchiveError, errorCodeOf, type ErrorCode } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { isOfTheHub } from '../domain/hub-refusal.ts'
import { isShrunken, sampleOf } from '../domain/listing-doubt.ts'
import { printRepo, type RepoFacts } from '../domain/repo.ts'
import { nextStep, type OldFile, type Told } from '../domain/repo-state.ts'
import type { RepoAnswer } from '../hub-port.ts'
import type { KnownRepo, PollRecord } from '../watch-rows.ts'
import type { PipelineDeps } from './deps.ts'

/**
 * Missing repositories that are asked for in one poll: enough for any real day, few enough that an emptied listing does
 * not spend the quota.
 */
const MAX_LOSS_QUESTIONS = 20

/** A known repository that the listing lacks. */
export interface Suspect extends KnownRepo {
  readonly miss: Missing
}

/** What became of the suspects of one poll. */
export interface Losses {
  readonly missing: PollRecord['missing']
  /** Not listed, but there when asked directly: their misses start anew, and their facts count like a listing's. */
  readonly changed: PollRecord['changed']
  readonly unchanged: readonly number[]
  readonly states: PollRecord['states']
  readonly events: readonly ChangeEvent[]
}

/** Nothing is concluded from what a listing lacks. */
export const NO_LOSSES: Losses = { missing: [], changed: [], unchanged: [], states: [], events: [] }

/**
 * Why a complete listing is not believed to be whole: it suddenly lacks much, and some of that is there when asked for
 * directly, or cannot be asked for. undefined when it is believed.
 * @param present how many repositories should be there
 */
export async function doubtListing(
  deps: PipelineDeps,
  suspects: readonly Suspect[],
  present: number,
  signal: AbortSignal,
): Promise<{ code: ErrorCode; message: string; detail: Readonly<Record<string, unknown>> } | undefined> {
  const fresh = suspects.filter((suspect) => suspect.misses === 0)
  if (!isShrunken(present, fresh.length)) return undefined
  for (const suspect of sampleOf(fresh)) {
    const answer = await askQuietly(deps, suspect, signal)
    if (answer !== undefined && (answer.kind !== 'found' || answer.facts.hubId !== suspect.hubId)) continue
    const repo = printRepo(suspect.ref)
    const repositories = present === 1 ? '1 repository' : `${present} repositories`
    const reason = answer === undefined ? 'which cannot be asked for' : 'which is there when asked for'
    return {
      code: 'LISTING_INCOMPLETE',
      message: `the listing lacks ${fresh.length} of ${repositories}, one of them ${repo}, ${reason}`,
      detail: { known: present, missing: fresh.length, example: repo, reason },
    }
  }
  return undefined
}

/** What one suspect came to. */
type Verdict = Partial<Losses>

/**
 * Asks for every repository that has been missing often and long enough. Only the Hub's own word that it is not there,
 * to every caller and for an old file of it, too, makes it `unavailable`; a redirect is a rename; an answer that it is
 * there clears the misses.
 */
export async function confirmLosses(
  deps: PipelineDeps,
  suspects: readonly Suspect[],
  context: DiffContext & { readonly answer: RepoAnswer | undefined },
  signal: AbortSignal,
): Promise<Losses> {
  const verdicts: Verdict[] = []
  let questions = 0
  for (const suspect of suspects) {
    const isAsked = suspect.miss.isDue && questions < MAX_LOSS_QUESTIONS && context.answer === undefined
    if (isAsked) questions += 1
    const hearing = isAsked
      ? await hear(deps, suspect, signal)
      : context.answer === undefined
        ? undefined
        : hearingOf(suspect, [context.answer])
    verdicts.push(hearing === undefined ? { missing: [suspect.miss] } : await judge(deps, suspect, hearing, context))
  }
  return {
    missing: verdicts.flatMap((one) => one.missing ?? []),
    changed: verdicts.flatMap((one) => one.changed ?? []),
    unchanged: verdicts.flatMap((one) => one.unchanged ?? []),
    states: verdicts.flatMap((one) => one.states ?? []),
    events: verdicts.flatMap((one) => one.events ?? []),
  }
}

/** Everything one suspect's questions brought. */
interface Hearing {
  readonly told: readonly Told[]
  readonly oldFile: OldFile
  /** Facts of whatever has the name now. */
  readonly facts: RepoFacts | undefined
  /** For records: of every question its status, reason, headers and time. */
  readonly evidence: Readonly<Record<string, unknown>>
}

/** Asks for a repository: with the token, without it, and for one of its old files. */
async function hear(deps: PipelineDeps, suspect: Suspect, signal: AbortSignal): Promise<Hearing> {
  const answer = await askQuietly(deps, suspect, signal)
  if (answer?.kind !== 'missing') return hearingOf(suspect, [answer])
  const answers: (RepoAnswer | undefined)[] = [answer]
  // A token may be shown less than everybody else, or another thing.
  if (deps.hub.hasToken) answers.push(await askQuietly(deps, suspect, signal, { anonymous: true }))
  const hearing = hearingOf(suspect, answers)
  if (answers.some((one) => one?.kind !== 'missing')) return hearing
  const { oldFile, evidence } = await askOldFile(deps, suspect, signal)
  return { ...hearing, oldFile, evidence: { ...hearing.evidence, oldFile: evidence } }
}

function hearingOf(suspect: Suspect, answers: readonly (RepoAnswer | undefined)[]): Hearing {
  const [first, withoutToken] = answers
  const best = answers.find((answer) => answer !== undefined && answer.kind !== 'missing') ?? first
  return {
    told: answers.map((answer) => toldBy(suspect, answer)),
    oldFile: 'not-asked',
    facts: best?.kind === 'found' ? best.facts : undefined,
    evidence: {
      ...best?.evidence,
      ...(best?.kind === 'moved' ? { to: printRepo(best.to) } : {}),
      ...(answers.length > 1
        ? { withToken: first?.evidence ?? null, withoutToken: withoutToken?.evidence ?? null }
        : {}),
    },
  }
}

function toldBy(suspect: KnownRepo, answer: RepoAnswer | undefined): Told {
  switch (answer?.kind) {
    case undefined:
      return { kind: 'unclear' }
    case 'found':
      if (answer.facts.hubId !== suspect.hubId) return { kind: 'name-taken' }
      return { kind: 'present', facts: presentFacts(answer.facts) }
    case 'moved':
      return { kind: 'moved', to: printRepo(answer.to) }
    case 'disabled':
      return { kind: 'disabled' }
    case 'missing':
      return { kind: 'missing' }
  }
}

async function judge(deps: PipelineDeps, suspect: Suspect, hearing: Hearing, context: DiffContext): Promise<Verdict> {
  const { told, oldFile, facts, evidence } = hearing
  if (facts !== undefined) {
    const owner = await deps.catalog.repoByHubId(facts.hubId)
    const known = owner === undefined || owner.hubId === suspect.hubId ? [suspect] : [suspect, owner]
    const diff = diffRepos(known, [facts], context)
    const changed = diff.changed.map((change) => ({ ...change, evidence }))
    return { changed, unchanged: diff.unchanged, events: diff.events }
  }
  const { at, confirmLoss } = context
  const step = nextStep(standingOf(suspect), { kind: 'asked', told, oldFile }, at, confirmLoss)
  // Nothing was concluded: the miss stays, and the next poll asks again.
  if (step.standing.misses > 0) return { missing: [suspect.miss] }
  const { misses, firstMissAt } = suspect.miss
  const detail = { misses, firstMissAt, evidence }
  return {
    states: [{ repoId: suspect.repoId, upstream: step.standing.upstream, evidence }],
    events: step.events.map((event) => ({ ...event, repo: suspect.ref, at, detail })),
  }
}

/** An answer that could not be had concludes nothing. */
async function askQuietly(
  deps: PipelineDeps,
  repo: KnownRepo,
  signal: AbortSignal,
  as?: { readonly anonymous: boolean },
): Promise<RepoAnswer | undefined> {
  try {
    return await deps.hub.askRepo(repo.ref, signal, as)
  } catch (error) {
    signal.throwIfAborted()
    const fields = { component: 'watch', repo: printRepo(repo.ref), code: errorCodeOf(error), err: error }
    deps.log.warn(fields, 'loss not confirmed')
    return undefined
  }
}

/** Files that every repository has, in the order of preference: small, so that the HEAD is about a git file. */
const USUAL_FILES = ['README.md', 'config.json', '.gitattributes']
const SAYS_GONE: readonly ErrorCode[] = ['REPO_UNAVAILABLE', 'REPO_DISABLED', 'SNAPSHOT_UNKNOWN', 'FILE_UNAVAILABLE']

/** A HEAD of one file of the newest commit we know: served, it proves that the repository is not gone. */
async function askOldFile(
  deps: PipelineDeps,
  suspect: Suspect,
  signal: AbortSignal,
): Promise<{ oldFile: OldFile; evidence: unknown }> {
  const newest = (await deps.catalog.repoRowById(suspect.repoId))?.newest
  if (newest === undefined) return { oldFile: 'not-asked', evidence: null }
  const path = await oldPath(deps, newest.snapshotId)
  if (path === undefined) return { oldFile: 'not-asked', evidence: null }
  const asked = { path, commit: newest.commit }
  try {
    await deps.hub.resolveFile({ ref: suspect.ref, ...asked }, signal)
    return { oldFile: 'served', evidence: { ...asked, served: true } }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError) || !isOfTheHub(error.code)) throw error
    // A gate is in front of something.
    const oldFile = error.code === 'REPO_GATED' ? 'served' : SAYS_GONE.includes(error.code) ? 'refused' : 'unclear'
    return { oldFile, evidence: { ...asked, code: error.code, ...error.details } }
  }
}

async function oldPath(deps: PipelineDeps, snapshotId: number): Promise<string | undefined> {
  for (const path of USUAL_FILES) if ((await deps.catalog.file(snapshotId, path)) !== undefined) return path
  const [first] = await deps.catalog.files(snapshotId, { after: undefined, limit: 1 })
  return first?.path
}
