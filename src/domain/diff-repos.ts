import type { CommitId, HubId } from './digest.ts'
import type { ChangeEvent } from './events.ts'
import { licenseChangeSeverity } from './license-change.ts'
import { licenseFormOf, type ParseSpdx } from './license-form.ts'
import { printRepo, type Gate, type LicenseFacts, type RepoFacts, type RepoRef } from './repo.ts'
import {
  isExplained,
  nextStep,
  upstreamOf,
  type Confirmation,
  type PresentFacts,
  type Standing,
  type UpstreamState,
} from './repo-state.ts'

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
  readonly upstream: UpstreamState
  /** Where a redirect says it went; only of a `renamed` one. */
  readonly movedTo: string | undefined
  readonly misses: number
  readonly firstMissAt: string | undefined
}

/** The difference of one complete listing to what was known. Nothing in it concludes a loss. */
export interface RepoDiff {
  readonly changed: readonly { readonly facts: RepoFacts; readonly upstream: UpstreamState }[]
  /** Ids of repositories whose facts did not move. */
  readonly unchanged: readonly number[]
  readonly missing: readonly Missing[]
  readonly events: readonly ChangeEvent[]
}

/** A known repository that a complete listing lacks. */
export interface Missing {
  readonly repoId: number
  readonly misses: number
  readonly firstMissAt: string
  /** It has been missing often and long enough to ask for it directly. */
  readonly isDue: boolean
}

export interface DiffContext {
  /** ISO time of the poll. */
  readonly at: string
  /** The first complete poll of a watch: what it finds is the backlog, not news. */
  readonly isFirst: boolean
  readonly licenseAllow: readonly string[] | undefined
  readonly parseSpdx: ParseSpdx
  readonly confirmLoss: Confirmation
  /** By `nameKey`, for names that are new: the repository that was archived under it and has another name since. */
  readonly formerOwners?: ReadonlyMap<string, Pick<RepoBefore, 'hubId' | 'head'>> | undefined
}

/**
 * Compares a complete listing with what was known, by `_id`.
 * @param before may hold repositories that had a listed name once: who takes such a name is told as recreated
 */
export function diffRepos(before: readonly RepoBefore[], listed: readonly RepoFacts[], context: DiffContext): RepoDiff {
  const knownById = new Map(before.map((known) => [known.hubId, known]))
  const knownByName = new Map(before.map((known) => [nameKey(known.ref), known]))
  const seen = new Set<HubId>()
  // Known ones first: one that gives its name away must have its new one before another takes the old one.
  const changed: { facts: RepoFacts; upstream: UpstreamState }[] = []
  const added: typeof changed = []
  const unchanged: number[] = []
  const events: ChangeEvent[] = []
  for (const facts of listed) {
    seen.add(facts.hubId)
    const known = knownById.get(facts.hubId)
    const found =
      known === undefined
        ? [
            newRepoEvent(
              facts,
              knownByName.get(nameKey(facts.ref)) ?? context.formerOwners?.get(nameKey(facts.ref)),
              context,
            ),
          ]
        : eventsOfKnown(known, facts, context)
    events.push(...found)
    if (known === undefined) added.push({ facts, upstream: upstreamOf(facts) })
    else if (found.length === 0 && isSame(known, facts)) unchanged.push(known.repoId)
    else changed.push({ facts, upstream: upstreamOf(facts) })
  }
  const recreated = new Set(listed.filter((facts) => !knownById.has(facts.hubId)).map((facts) => nameKey(facts.ref)))
  const missing = before
    .filter((known) => !seen.has(known.hubId) && !isExplained(known.upstream) && !recreated.has(nameKey(known.ref)))
    .map((known) => missingOf(known, context))
  return { changed: [...changed, ...added], unchanged, missing, events }
}

/** What is believed of a known repository, for the state machine. */
export function standingOf(known: RepoBefore): Standing {
  const { gated, disabled, upstream, movedTo, misses, firstMissAt } = known
  return { name: printRepo(known.ref), gated, private: known.private, disabled, upstream, movedTo, misses, firstMissAt }
}

/** What a repository's facts say of its state. */
export function presentFacts(facts: RepoFacts): PresentFacts {
  return { name: printRepo(facts.ref), gated: facts.gated, private: facts.private, disabled: facts.disabled }
}

function missingOf(known: RepoBefore, { at, confirmLoss }: DiffContext): Missing {
  const { standing, isDue } = nextStep(standingOf(known), { kind: 'absent' }, at, confirmLoss)
  return { repoId: known.repoId, misses: standing.misses, firstMissAt: standing.firstMissAt ?? at, isDue }
}

/** Names are compared without case. */
export function nameKey(ref: RepoRef): string {
  return printRepo(ref).toLowerCase()
}

function isSame(known: RepoBefore, facts: RepoFacts): boolean {
  return (
    known.head === facts.commit &&
    known.upstream === upstreamOf(facts) &&
    known.gated === facts.gated &&
    known.private === facts.private &&
    known.disabled === facts.disabled &&
    printRepo(known.ref) === printRepo(facts.ref)
  )
}

function newRepoEvent(
  facts: RepoFacts,
  sameName: Pick<RepoBefore, 'hubId' | 'head'> | undefined,
  context: DiffContext,
): ChangeEvent {
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
  const { at } = context
  const present = { kind: 'present', facts: presentFacts(facts) } as const
  const { events: found } = nextStep(standingOf(known), present, at, context.confirmLoss)
  const events: ChangeEvent[] = found.map((event) => ({ ...event, repo: facts.ref, at, detail: {} }))
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
