import type { RepoRow, SnapshotRow } from '../catalog-rows.ts'
import type { NamedRepo } from './archive-view.ts'

/** Names of the default branch: what the Hub's clients ask for when a person names no revision. */
const MAIN = new Set(['main', 'HEAD', 'refs/heads/main'])

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
  if (!/^[0-9a-f]{7,40}$/.test(revision)) return undefined
  const meant = repo.rows.flatMap(sealedOf).filter(({ commit }) => commit.startsWith(revision))
  const [first] = meant
  return meant.every(({ commit }) => commit === first?.commit) ? first : undefined
}
