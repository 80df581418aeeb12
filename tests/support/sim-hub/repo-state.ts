/** One repo inside the simulated Hub and how a revision is found in it. */
import type { CardData } from './card.ts'
import type { StoredFile } from './stored-file.ts'
import type { RepoType } from './types.ts'

/** A file as one commit holds it. */
export interface Entry {
  readonly file: StoredFile
  /** Commit that last touched it. */
  readonly lastCommit: string
}

export interface Commit {
  readonly id: string
  readonly parent: string | undefined
  readonly title: string
  readonly message: string
  /** ISO, milliseconds, Z. */
  readonly date: string
  readonly author: string
  readonly entries: ReadonlyMap<string, Entry>
  readonly card: CardData | undefined
}

export interface Discussion {
  readonly num: number
  readonly title: string
  readonly author: string
  readonly createdAt: string
  readonly status: string
  readonly isPullRequest: boolean
}

export interface RepoState {
  readonly type: RepoType
  id: string
  readonly hubId: string
  readonly gitalyUid: string
  readonly createdAt: string
  /** Place in the order of creation, from 0. */
  readonly ordinal: number
  /** User name of its commits. */
  readonly author: string
  readonly givenTags: readonly string[]
  readonly extra: Record<string, unknown>
  readonly commits: Map<string, Commit>
  /** Short branch name → commit. */
  readonly branches: Map<string, string>
  readonly tags: Map<string, string>
  /** Full ref (`refs/pr/1`, `refs/convert/parquet`) → commit. */
  readonly otherRefs: Map<string, string>
  readonly discussions: Discussion[]
  /** Content the CDN has lost. */
  readonly purged: Set<StoredFile['content']>
  gated: false | 'auto' | 'manual'
  private: boolean
  disabled: false | 'info-200' | 'info-403'
  hiddenFromListing: boolean
  hiddenFromInfo: boolean
}

/** The commit main points at. A repo always has one. */
export function headOf(repo: RepoState): Commit {
  const head = repo.commits.get(repo.branches.get('main') ?? '')
  if (head === undefined) throw new Error(`${repo.id} has no main`)
  return head
}

/**
 * Finds the commit a revision names: HEAD, branch, tag, full ref, commit id, or 7 and more digits of one.
 * @returns undefined when the Hub would answer RevisionNotFound
 */
export function findCommit(repo: RepoState, revision: string): Commit | undefined {
  if (revision === 'HEAD') return headOf(repo)
  const named =
    repo.branches.get(revision) ??
    repo.tags.get(revision) ??
    repo.otherRefs.get(revision) ??
    repo.branches.get(withoutPrefix(revision, 'refs/heads/')) ??
    repo.tags.get(withoutPrefix(revision, 'refs/tags/'))
  if (named !== undefined) return repo.commits.get(named)
  if (!/^[0-9a-f]{7,40}$/.test(revision)) return undefined
  if (revision.length === 40) return repo.commits.get(revision)
  const matching = [...repo.commits.values()].filter((commit) => commit.id.startsWith(revision))
  return matching.length === 1 ? matching[0] : undefined
}

/** A commit and its ancestors that still exist, newest first. */
export function historyOf(repo: RepoState, from: Commit): Commit[] {
  const history: Commit[] = []
  for (let commit: Commit | undefined = from; commit !== undefined; commit = repo.commits.get(commit.parent ?? '')) {
    history.push(commit)
  }
  return history
}

/** Compares two strings by UTF-16 code unit, as listings are ordered. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : ''
}
