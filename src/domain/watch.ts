import type { KeepPolicy } from './decision.ts'
import { matchGlob } from './glob.ts'
import { splitRepoName, type RepoName, type RepoRef } from './repo.ts'

/** One entry of the watch list. */
export type WatchTarget =
  | { readonly kind: 'org' | 'user'; readonly owner: string; readonly match: string | undefined }
  | { readonly kind: 'repo'; readonly ref: RepoRef }

export interface WatchEntry {
  /** Stable name of the entry in catalog, logs and `watch ls`: `org:Qwen`, `user:unsloth`, `repo:Qwen/Qwen3-0.6B`. */
  readonly key: string
  readonly target: WatchTarget
  readonly everyMs: number
  readonly keep: KeepPolicy
}

/** The key of a target. Two entries of one owner differ by their `match`. */
export function watchKey(target: WatchTarget): string {
  if (target.kind === 'repo')
    return `repo:${target.ref.type === 'model' ? '' : `${target.ref.type}s/`}${target.ref.name}`
  return target.match === undefined
    ? `${target.kind}:${target.owner}`
    : `${target.kind}:${target.owner}/${target.match}`
}

/** Whether a repository of an owner's complete listing belongs to this entry. */
export function watchCovers(target: WatchTarget, name: RepoName): boolean {
  if (target.kind === 'repo') return target.ref.name === name
  const { owner, repo } = splitRepoName(name)
  if (owner.toLowerCase() !== target.owner.toLowerCase()) return false
  return target.match === undefined || matchGlob(target.match, repo)
}

/**
 * The entry that decides for a repository when several cover it: the most specific one, so a single repo before an
 * owner with a pattern before a whole owner; among equals the first of the list.
 */
export function claimingWatch(watches: readonly WatchEntry[], ref: RepoRef): WatchEntry | undefined {
  let best: WatchEntry | undefined
  for (const watch of watches) {
    if (!covers(watch.target, ref)) continue
    if (best === undefined || specificity(watch.target) > specificity(best.target)) best = watch
  }
  return best
}

function covers(target: WatchTarget, ref: RepoRef): boolean {
  if (target.kind === 'repo') return target.ref.type === ref.type && target.ref.name === ref.name
  return ref.type === 'model' && watchCovers(target, ref.name)
}

function specificity(target: WatchTarget): number {
  if (target.kind === 'repo') return 2
  return target.match === undefined ? 0 : 1
}
