import type { Severity } from './events.ts'
import type { Gate } from './repo.ts'

/** What a repository is on the Hub, as far as we know. */
export const UPSTREAM_STATES = ['ok', 'gated', 'disabled', 'unavailable', 'renamed', 'recreated', 'unknown'] as const
export type UpstreamState = (typeof UPSTREAM_STATES)[number]

/** What a repository's own row or answer says of it. `name` as people write it, with its type. */
export interface PresentFacts {
  readonly name: string
  readonly gated: Gate
  readonly private: boolean
  readonly disabled: boolean
}

/** What is believed of one repository: what it said last, and what became of it since. */
export interface Standing extends PresentFacts {
  readonly upstream: UpstreamState
  /** Where a redirect says it went; only of a `renamed` one. */
  readonly movedTo: string | undefined
  /** Complete listings in a row that lacked it, and ISO time of the first of them. */
  readonly misses: number
  readonly firstMissAt: string | undefined
}

/** What one caller was told when the Hub was asked for a repository by its name. `unclear`: nothing that proves anything. */
export type Told =
  | { readonly kind: 'present'; readonly facts: PresentFacts }
  | { readonly kind: 'name-taken' }
  | { readonly kind: 'moved'; readonly to: string }
  | { readonly kind: 'disabled' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unclear' }

/** Whether one of its old files still answers. `not-asked`: no file of it is known. */
export type OldFile = 'served' | 'refused' | 'unclear' | 'not-asked'

/** One look at the Hub, as far as it concerns one repository. */
export type Evidence =
  /** Seen under its own `_id` in a listing. */
  | { readonly kind: 'present'; readonly facts: PresentFacts }
  /** A complete listing, which is believed, lacks it. */
  | { readonly kind: 'absent' }
  /** A listing has its name under another `_id`. */
  | { readonly kind: 'name-taken' }
  /** It was asked for: by each caller (with and without a token), and by a HEAD of one old file. */
  | { readonly kind: 'asked'; readonly told: readonly Told[]; readonly oldFile: OldFile }
  /** An outage, a rate limit, the page of a proxy, a listing that shrank. */
  | { readonly kind: 'nothing' }

/** How often and how long a repository must be missing before it is asked for. */
export interface Confirmation {
  readonly misses: number
  readonly overMs: number
}

/** A change of state as an event, without the repository and the time. */
export interface StateEvent {
  readonly type: 'repo-unavailable' | 'repo-restored' | 'repo-renamed' | 'gate-changed' | 'repo-disabled'
  readonly severity: Severity
  readonly before: unknown
  readonly after: unknown
}

/** What follows from one piece of evidence. */
export interface Step {
  readonly standing: Standing
  readonly events: readonly StateEvent[]
  /** It has been missing often and long enough: now ask the Hub for it directly. */
  readonly isDue: boolean
}

/**
 * The state machine of one repository. Absence alone is only counted; a loss needs the confirmation window and then the
 * Hub's own word, from every caller, with no old file that still answers. The same evidence again is no news.
 * @param at ISO time of the evidence
 */
export function nextStep(before: Standing, evidence: Evidence, at: string, confirm: Confirmation): Step {
  switch (evidence.kind) {
    case 'present':
      return seen(before, evidence.facts)
    case 'absent':
      return missed(before, at, confirm)
    case 'name-taken':
      return quiet({ ...found(before), upstream: 'recreated' })
    case 'asked':
      return heard(before, evidence)
    case 'nothing':
      return quiet(before)
  }
}

/** The state that a repository's own facts tell. A private one is gated as the rest of the world sees it. */
export function upstreamOf(facts: Pick<PresentFacts, 'disabled' | 'gated' | 'private'>): 'ok' | 'gated' | 'disabled' {
  if (facts.disabled) return 'disabled'
  return accessOf(facts) === false ? 'ok' : 'gated'
}

/** Who may read a repository: everybody (false), who asked (`auto`, `manual`), or who was let in (`private`). */
export function accessOf(facts: Pick<PresentFacts, 'gated' | 'private'>): Gate | 'private' {
  return facts.private ? 'private' : facts.gated
}

/** Its absence is explained already: asking again would only repeat the event. */
export function isExplained(upstream: UpstreamState): boolean {
  return upstream === 'unavailable' || upstream === 'recreated' || upstream === 'renamed'
}

function seen(before: Standing, facts: PresentFacts): Step {
  const events: StateEvent[] = []
  const wasTold = before.upstream === 'renamed' && before.movedTo === facts.name
  const upstream = upstreamOf(facts)
  if (isExplained(before.upstream) && !wasTold) {
    events.push({ type: 'repo-restored', severity: 'notice', before: before.upstream, after: upstream })
  }
  if (before.name !== facts.name && !wasTold) {
    events.push({ type: 'repo-renamed', severity: 'warning', before: before.name, after: facts.name })
  }
  const [gate, gateNow] = [accessOf(before), accessOf(facts)]
  if (gate !== gateNow) {
    const severity = gateNow === false ? 'notice' : gateNow === 'private' ? 'critical' : 'warning'
    events.push({ type: 'gate-changed', severity, before: gate, after: gateNow })
  }
  // A direct answer may have told it although no listing did.
  const wasDisabled = before.disabled || before.upstream === 'disabled'
  if (wasDisabled !== facts.disabled) {
    const severity = facts.disabled ? 'critical' : 'notice'
    events.push({ type: 'repo-disabled', severity, before: wasDisabled, after: facts.disabled })
  }
  return { standing: { ...found(before), ...facts, upstream }, events, isDue: false }
}

function missed(before: Standing, at: string, confirm: Confirmation): Step {
  if (isExplained(before.upstream)) return quiet(before)
  const sinceMs = Date.parse(at) - Date.parse(before.firstMissAt ?? at)
  // A clock that was set back since would put the loss off for the length of the jump: the window begins anew.
  const firstMissAt = sinceMs >= 0 && before.firstMissAt !== undefined ? before.firstMissAt : at
  const misses = before.misses + 1
  const isDue = misses >= confirm.misses && sinceMs >= confirm.overMs
  return { standing: { ...before, misses, firstMissAt }, events: [], isDue }
}

function heard(before: Standing, evidence: Extract<Evidence, { kind: 'asked' }>): Step {
  const { told, oldFile } = evidence
  const first = <Kind extends Told['kind']>(kind: Kind): Extract<Told, { kind: Kind }> | undefined =>
    told.find((one): one is Extract<Told, { kind: Kind }> => one.kind === kind)
  // Whoever is shown the repository proves that it is there, whatever another caller was told.
  const present = first('present')
  if (present !== undefined) return seen(before, present.facts)
  if (first('name-taken') !== undefined) return quiet({ ...found(before), upstream: 'recreated' })
  const moved = first('moved')
  if (moved !== undefined) return heardMoved(before, moved.to)
  if (first('disabled') !== undefined) return heardDisabled(before)
  const isClear = told.length > 0 && first('unclear') === undefined && oldFile !== 'unclear'
  if (!isClear) return quiet(before)
  // No page for the repository, but its files are there: the Hub contradicts itself.
  if (oldFile === 'served') return quiet({ ...found(before), upstream: 'unknown' })
  const standing: Standing = { ...found(before), upstream: 'unavailable' }
  if (before.upstream === 'unavailable') return quiet(standing)
  return changed(standing, {
    type: 'repo-unavailable',
    severity: 'critical',
    before: before.upstream,
    after: 'unavailable',
  })
}

function heardMoved(before: Standing, to: string): Step {
  const standing: Standing = { ...found(before), upstream: 'renamed', movedTo: to }
  if (before.upstream === 'renamed' && before.movedTo === to) return quiet(standing)
  return changed(standing, { type: 'repo-renamed', severity: 'warning', before: before.name, after: to })
}

function heardDisabled(before: Standing): Step {
  const standing: Standing = { ...found(before), upstream: 'disabled' }
  if (before.upstream === 'disabled') return quiet(standing)
  return changed(standing, { type: 'repo-disabled', severity: 'critical', before: before.upstream, after: 'disabled' })
}

/** Nothing is missing any more: what became of it is known. */
function found(before: Standing): Standing {
  return { ...before, movedTo: undefined, misses: 0, firstMissAt: undefined }
}

function quiet(standing: Standing): Step {
  return { standing, events: [], isDue: false }
}

function changed(standing: Standing, event: StateEvent): Step {
  return { standing, events: [event], isDue: false }
}
