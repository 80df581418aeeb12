import type { CommitId, HubId } from './digest.ts'
import type { ChangeEvent, Severity } from './events.ts'
import { licenseChangeSeverity } from './license-change.ts'
import { licenseFormOf, type ParseSpdx } from './license-form.ts'
import { printRepo, type Gate, type LicenseFacts, type RepoFacts, type RepoRef } from './repo.ts'

/** What was known of a repository before this poll. */
export interface RepoBefore {
  readonly repoId: number
  readonly ref: RepoRef
  readonly hubId: HubId
  readonly head: CommitId | undefined
  readonly gated: Gate
  readonly private: boolean
  readonly disabled: boolean
  readonly license: LicenseFacts
  readonly upstream: string
  readonly misses: number
  readonly firstMissAt: string | undefined
}

export type UpstreamAfter = 'ok' | 'gated' | 'disabled'

/** The difference of one complete listing to what was known. Nothing in it concludes a loss. */
export interface RepoDiff {
  readonly changed: readonly { readonly facts: RepoFacts; readonly upstream: UpstreamAfter }[]
  /** Ids of repositories whose facts did not move. */
  readonly unchanged: readonly number[]
  readonly missing: readonly { readonly repoId: number; readonly misses: number; readonly firstMissAt: string }[]
  readonly events: readonly ChangeEvent[]
}

export interface DiffContext {
  /** ISO time of the poll. */
  readonly at: string
  /** The first complete poll of a watch: what it finds is the backlog, not news. */
  readonly isFirst: boolean
  readonly licenseAllow: readonly string[] | undefined
  readonly parseSpdx: ParseSpdx
}

/** Compares a complete listing with what was known, by `_id`. */
export function diffRepos(before: readonly RepoBefore[], listed: readonly RepoFacts[], context: DiffContext): RepoDiff {
  const knownById = new Map(before.map((known) => [known.hubId, known]))
  const knownByName = new Map(before.map((known) => [nameKey(known.ref), known]))
  const seen = new Set<HubId>()
  const changed: { facts: RepoFacts; upstream: UpstreamAfter }[] = []
  const unchanged: number[] = []
  const events: ChangeEvent[] = []
  for (const facts of listed) {
    seen.add(facts.hubId)
    const known = knownById.get(facts.hubId)
    const found =
      known === undefined
        ? [newRepoEvent(facts, knownByName.get(nameKey(facts.ref)), context)]
        : eventsOfKnown(known, facts, context)
    events.push(...found)
    if (known !== undefined && found.length === 0 && isSame(known, facts)) unchanged.push(known.repoId)
    else changed.push({ facts, upstream: upstreamOf(facts) })
  }
  const recreated = new Set(listed.filter((facts) => !knownById.has(facts.hubId)).map((facts) => nameKey(facts.ref)))
  const missing = before
    .filter((known) => !seen.has(known.hubId) && !isGone(known) && !recreated.has(nameKey(known.ref)))
    .map((known) => ({ repoId: known.repoId, misses: known.misses + 1, firstMissAt: known.firstMissAt ?? context.at }))
  return { changed, unchanged, missing, events }
}

/** Whether a repository has been missing often and long enough to ask for it directly. */
export function isLossDue(
  missing: { readonly misses: number; readonly firstMissAt: string },
  at: string,
  confirm: { readonly misses: number; readonly overMs: number },
): boolean {
  return missing.misses >= confirm.misses && Date.parse(at) - Date.parse(missing.firstMissAt) >= confirm.overMs
}

/** The state that a repository's own facts tell. */
export function upstreamOf(facts: Pick<RepoFacts, 'disabled' | 'gated'>): UpstreamAfter {
  if (facts.disabled) return 'disabled'
  return facts.gated === false ? 'ok' : 'gated'
}

function nameKey(ref: RepoRef): string {
  return printRepo(ref).toLowerCase()
}

/** Its absence is explained already: asking again would only repeat the event. */
function isGone(known: RepoBefore): boolean {
  return known.upstream === 'unavailable' || known.upstream === 'recreated' || known.upstream === 'renamed'
}

function isSame(known: RepoBefore, facts: RepoFacts): boolean {
  return known.head === facts.commit && known.private === facts.private && known.upstream === upstreamOf(facts)
}

function newRepoEvent(facts: RepoFacts, sameName: RepoBefore | undefined, context: DiffContext): ChangeEvent {
  const after = { hubId: facts.hubId, commit: facts.commit ?? null, createdAt: facts.createdAt ?? null }
  const base = { repo: facts.ref, at: context.at, after }
  if (sameName !== undefined) {
    return {
      ...base,
      type: 'repo-recreated',
      severity: 'critical',
      before: { hubId: sameName.hubId, commit: sameName.head ?? null },
      detail: { meaning: 'another repository took the name; what was archived under it is kept apart' },
    }
  }
  const severity = context.isFirst ? 'info' : 'notice'
  return { ...base, type: 'repo-published', severity, before: null, detail: { backlog: context.isFirst } }
}

function eventsOfKnown(known: RepoBefore, facts: RepoFacts, context: DiffContext): ChangeEvent[] {
  const events: ChangeEvent[] = []
  const add = (type: ChangeEvent['type'], severity: Severity, before: unknown, after: unknown): void => {
    events.push({ type, severity, repo: facts.ref, at: context.at, before, after, detail: {} })
  }
  if (known.upstream === 'unavailable') add('repo-restored', 'notice', 'unavailable', upstreamOf(facts))
  if (printRepo(known.ref) !== printRepo(facts.ref)) {
    add('repo-renamed', 'warning', printRepo(known.ref), printRepo(facts.ref))
  }
  if (known.gated !== facts.gated) {
    add('gate-changed', facts.gated === false ? 'notice' : 'warning', known.gated, facts.gated)
  }
  // A direct answer may have told it although no listing did.
  const wasDisabled = known.disabled || known.upstream === 'disabled'
  if (wasDisabled !== facts.disabled) {
    add('repo-disabled', facts.disabled ? 'critical' : 'notice', wasDisabled, facts.disabled)
  }
  if (!sameLicense(known.license, facts.license)) {
    events.push(licenseEvent(known, facts, context))
  }
  return events
}

function sameLicense(a: LicenseFacts, b: LicenseFacts): boolean {
  return a.license === b.license && a.license_name === b.license_name && a.license_link === b.license_link
}

function licenseEvent(known: RepoBefore, facts: RepoFacts, { at, licenseAllow, parseSpdx }: DiffContext): ChangeEvent {
  const [before, after] = [known.license, facts.license]
  return {
    type: 'license-changed',
    severity: licenseChangeSeverity(before, after, { allow: licenseAllow, parseSpdx }),
    repo: facts.ref,
    at,
    before,
    after,
    detail: {
      spdxBefore: licenseFormOf(before, parseSpdx)?.expression ?? null,
      spdxAfter: licenseFormOf(after, parseSpdx)?.expression ?? null,
    },
  }
}
