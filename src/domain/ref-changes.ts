import type { CommitId } from './digest.ts'
import type { ChangeEvent } from './events.ts'
import type { RepoRef } from './repo.ts'

/** A branch or tag and the commit it points at. */
export interface HubRef {
  readonly kind: 'branch' | 'tag'
  /** As the Hub spells it; any text. */
  readonly name: string
  readonly commit: CommitId
}

/** The branch whose moves are told as `repo-updated` and `history-rewritten`. */
const DEFAULT_BRANCH = 'main'

/** So many events of one look: a repository that lost a thousand tags is one piece of news. */
const MAX_REF_EVENTS = 20

/**
 * What became of branches and tags between two looks. A new one is no event. A tag that moves breaks a promise, a branch
 * that moves is everyday work; the default branch has events of its own and only its loss is told here.
 * @param at ISO time of the second look
 */
export function refEvents(
  repo: RepoRef,
  before: readonly HubRef[],
  after: readonly HubRef[],
  at: string,
): ChangeEvent[] {
  const now = new Map(after.map((ref) => [keyOf(ref), ref]))
  const events: ChangeEvent[] = []
  for (const ref of before) {
    const { kind, name, commit } = ref
    const present = now.get(keyOf(ref))
    if (present?.commit === commit) continue
    const base = { repo, at, before: commit, detail: { kind, ref: name } }
    if (present === undefined) events.push({ ...base, type: 'ref-deleted', severity: 'warning', after: null })
    else if (kind === 'tag' || name !== DEFAULT_BRANCH) {
      const severity = kind === 'tag' ? 'warning' : 'info'
      events.push({ ...base, type: 'ref-moved', severity, after: present.commit })
    }
  }
  const [last] = events.slice(MAX_REF_EVENTS - 1)
  if (last === undefined || events.length === MAX_REF_EVENTS) return events
  const others = events.length - MAX_REF_EVENTS
  return [...events.slice(0, MAX_REF_EVENTS - 1), { ...last, detail: { ...last.detail, others } }]
}

function keyOf(ref: HubRef): string {
  return `${ref.kind} ${ref.name}`
}

/** How the old head came to be no ancestor of the new one. */
export type Rewriting = 'squashed' | 'moved-back' | 'replaced'

/**
 * `history-rewritten` when the old head is no ancestor of the new one any more; nothing while that is not certain.
 * @param log the commits of the new head, which comes first
 * @param wasKnown whether the new head is a commit that was a head before
 */
export function historyEvents(
  repo: RepoRef,
  heads: { readonly before: CommitId; readonly after: CommitId },
  log: { readonly commits: readonly CommitId[]; readonly isComplete: boolean },
  given: { readonly at: string; readonly wasKnown: boolean },
): ChangeEvent[] {
  const { before, after } = heads
  // A log that does not begin with the head that was asked for is about something else.
  if (before === after || log.commits[0] !== after) return []
  if (log.commits.includes(before) || !log.isComplete) return []
  const how: Rewriting = given.wasKnown ? 'moved-back' : log.commits.length === 1 ? 'squashed' : 'replaced'
  return [
    {
      type: 'history-rewritten',
      severity: 'warning',
      repo,
      at: given.at,
      before,
      after,
      detail: { how, commits: log.commits.length, meaning: MEANINGS[how] },
    },
  ]
}

const MEANINGS: Readonly<Record<Rewriting, string>> = {
  squashed: 'the whole history was replaced by one commit; the old head is no ancestor of it',
  'moved-back': 'the branch points at an older commit again',
  replaced: 'the branch was replaced by a history that does not hold the old head',
}
