/** How repos and commits come into being: ids, dates and cards that follow from the seed and the calls. */
import { cardOf, readmeFor, type CardData } from './card.ts'
import { seededHex } from './random.ts'
import type { Commit, Entry, RepoState } from './repo-state.ts'
import { storeFile, type StoredFile } from './stored-file.ts'
import type { CommitChange, RepoSpec, RepoType } from './types.ts'
import type { WorldState } from './world-state.ts'

/** The first repo of a hub is made at this time unless a test says otherwise. */
export const EPOCH_MS = Date.parse('2026-01-05T09:00:00.000Z')
export const HOUR_MS = 3_600_000

/** A new repo with its first commit; not yet part of the world. */
export function newRepo(state: WorldState, id: string, spec: RepoSpec, ordinal: number): RepoState {
  const [type, name] = splitId(id, spec.type)
  const label = `repo ${type} ${name} ${ordinal}`
  const createdAt = spec.createdAt ?? new Date(EPOCH_MS + ordinal * HOUR_MS).toISOString()
  const repo: RepoState = {
    type,
    id: name,
    hubId: seededHex(state.seed, label, 24),
    gitalyUid: seededHex(state.seed, `${label} gitaly`, 64),
    createdAt,
    ordinal,
    author: spec.author ?? ownerOf(name),
    givenTags: spec.tags ?? [],
    extra: spec.extra ?? {},
    commits: new Map(),
    branches: new Map(),
    tags: new Map(),
    otherRefs: new Map(),
    discussions: [],
    purged: new Set(),
    gated: spec.gated ?? false,
    private: spec.private ?? false,
    disabled: false,
    hiddenFromListing: false,
    hiddenFromInfo: false,
  }
  const change = { title: spec.title ?? 'initial commit', date: spec.date ?? createdAt, set: spec.files }
  commitTo(state, repo, { ...change, card: spec.card }, 'main')
  return repo
}

/** Adds a commit on top of a branch: a short branch name or a full `refs/…`. */
export function commitTo(state: WorldState, repo: RepoState, change: CommitChange, branch: string): Commit {
  const refs = branch.startsWith('refs/') ? repo.otherRefs : repo.branches
  const parent = repo.commits.get(refs.get(branch) ?? repo.branches.get('main') ?? '')
  const entries = new Map(parent?.entries)
  for (const path of change.remove ?? []) {
    if (!entries.delete(path)) throw new Error(`${repo.id} has no file ${JSON.stringify(path)}`)
  }
  const set = filesToSet(repo, change)
  const commit = makeCommit(state, repo, {
    parent: parent?.id,
    title: change.title ?? (set.length === 1 ? `Update ${set[0]?.path}` : 'Upload files'),
    message: change.message,
    date: change.date ?? laterBy(parent?.date ?? repo.createdAt, HOUR_MS),
    entries,
    card: cardAfter(change, set, parent),
  })
  for (const file of set) entries.set(file.path, { file, lastCommit: commit.id })
  refs.set(branch, commit.id)
  return commit
}

function filesToSet(repo: RepoState, change: CommitChange): StoredFile[] {
  const set = (change.set ?? []).map(storeFile)
  if (change.card === undefined || set.some((file) => file.path === 'README.md')) return set
  return [...set, storeFile({ path: 'README.md', content: readmeFor(change.card, repo.id) })]
}

function cardAfter(change: CommitChange, set: readonly StoredFile[], parent: Commit | undefined): CardData | undefined {
  if (change.card !== undefined) return change.card
  const readme = set.find((file) => file.path === 'README.md')
  if (readme !== undefined) return cardOf(readme)
  return change.remove?.includes('README.md') === true ? undefined : parent?.card
}

/** A commit before it has an id. */
export interface NewCommit {
  parent: string | undefined
  title: string
  message?: string | undefined
  date: string
  entries: ReadonlyMap<string, Entry>
  card: CardData | undefined
}

/** Stores a commit under an id that follows from the seed and its place in history; no ref points at it yet. */
export function makeCommit(state: WorldState, repo: RepoState, fields: NewCommit): Commit {
  const label = `commit ${repo.hubId} ${fields.parent} ${fields.title} ${fields.date}`
  let id = seededHex(state.seed, label, 40)
  for (let attempt = 1; repo.commits.has(id); attempt++) id = seededHex(state.seed, `${label} ${attempt}`, 40)
  const commit: Commit = { ...fields, id, message: fields.message ?? '', author: repo.author }
  repo.commits.set(id, commit)
  return commit
}

/** Type and name of an id; `datasets/…` and `spaces/…` name the type. */
export function splitId(id: string, type: RepoType | undefined): [RepoType, string] {
  const prefixed = /^(model|dataset|space)s\/(.+\/.+)$/.exec(id)
  if (prefixed !== null) return [prefixed[1] as RepoType, prefixed[2] as string]
  return [type ?? 'model', id]
}

function ownerOf(id: string): string {
  return id.split('/')[0] ?? id
}

/** An ISO date so many milliseconds later; an unreadable date stays as it is. */
export function laterBy(date: string, ms: number): string {
  const time = Date.parse(date)
  return Number.isNaN(time) ? date : new Date(time + ms).toISOString()
}
