import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import type { HubRef } from '../domain/ref-changes.ts'
import type { NamedRepo, NamedRow } from './archive-view.ts'

/** Names of the default branch: what the Hub's clients ask for when a person names no revision. */
const MAIN = new Set(['main', 'HEAD', 'refs/heads/main'])

/** Branches and tags that lead to a sealed commit, but for the default branch. */
export function sealedRefs(row: Pick<NamedRow, 'refs' | 'snapshots'>): HubRef[] {
  const sealed = new Set(sealedOf(row).map(({ commit }) => commit))
  return row.refs.filter(({ kind, name, commit }) => sealed.has(commit) && !(kind === 'branch' && MAIN.has(name)))
}

/** What a branch or tag means, by its short name or its long one. */
function refOf(row: NamedRow, revision: string): SnapshotRow | undefined {
  const [, kind, long] = /^refs\/(heads|tags)\/(.+)$/.exec(revision) ?? []
  const meant = sealedRefs(row).find((ref) => {
    if (long === undefined) return ref.name === revision
    return ref.name === long && ref.kind === (kind === 'heads' ? 'branch' : 'tag')
  })
  return meant && sealedOf(row).find(({ commit }) => commit === meant.commit)
}

/** A sealed commit has a manifest; one that was opened again for a wider selection keeps the one it has. */
export function sealedOf(row: Pick<RepoRow, 'snapshots'>): SnapshotRow[] {
  return row.snapshots.filter((snapshot) => snapshot.manifestRevision > 0)
}

/** What `main` means: upstream's head where it is sealed, else the newest sealed commit. */
export function mainOf(row: Pick<RepoRow, 'snapshots' | 'head'>): SnapshotRow | undefined {
  const sealed = sealedOf(row)
  return sealed.find((snapshot) => snapshot.commit === row.head) ?? sealed[0]
}

/**
 * The sealed commit that a revision means; undefined when there is none, or several by a shortened id. `main` is that of
 * the first repository with a sealed commit; a commit of any of them is to be had by its id.
 */
export function chooseSnapshot(repo: NamedRepo, revision: string): SnapshotRow | undefined {
  if (MAIN.has(revision)) return repo.rows.map(mainOf).find((snapshot) => snapshot !== undefined)
  const [row] = repo.rows
  const named = row === undefined ? undefined : refOf(row, revision)
  if (named !== undefined) return named
  if (!/^[0-9a-f]{7,40}$/.test(revision)) return undefined
  const meant = repo.rows.flatMap(sealedOf).filter(({ commit }) => commit.startsWith(revision))
  const [first] = meant
  return meant.every(({ commit }) => commit === first?.commit) ? first : undefined
}
