/** Everything the simulated Hub holds, as the routes read it. */
import type { RepoState } from './repo-state.ts'
import type { StoredFile } from './stored-file.ts'
import type { RepoType } from './types.ts'

export interface Collection {
  readonly slug: string
  readonly hubId: string
  readonly owner: string
  readonly title: string
  readonly lastUpdated: string
  readonly items: readonly string[]
}

export interface WorldState {
  readonly seed: number
  /** By `repoKey`. */
  readonly repos: Map<string, RepoState>
  /** Old names, by `repoKey`, of repos that were renamed. */
  readonly renamed: Map<string, RepoState>
  readonly collections: Collection[]
  readonly ownerKinds: Map<string, 'org' | 'user'>
  readonly numModels: Map<string, number>
  /** What the CDN can serve, by path; filled when a link is first signed. */
  readonly cdnFiles: Map<string, { file: StoredFile; repo: RepoState }>
  /** By Xet hash; filled when resolve first names it. */
  readonly xetFiles: Map<string, StoredFile>
}

/** Key of a repo name; names are compared without case, as the Hub does. */
export function repoKey(type: RepoType, id: string): string {
  return `${type}:${id.toLowerCase()}`
}

/** The repo of that name now, or the one that used to have it. */
export function lookUp(state: WorldState, type: RepoType, id: string): RepoState | undefined {
  const key = repoKey(type, id)
  const current = state.repos.get(key)
  if (current !== undefined) return current
  const renamed = state.renamed.get(key)
  return renamed !== undefined && state.repos.get(repoKey(type, renamed.id)) === renamed ? renamed : undefined
}
