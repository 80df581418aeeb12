import type { KeepPolicy } from './decision.ts'
import { matchGlob } from './glob.ts'
import { printRepo, splitRepoName, type RepoName, type RepoRef } from './repo.ts'

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
  /** An owner without a publication or update for so long is told as silent; undefined = never. */
  readonly silentAfterMs?: number | undefined
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
  if (target.kind === 'repo') return isSameName(target.ref.name, name)
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

/**
 * The entry that a known repository belongs to: the one that claims its name, else the one that saw it last, because a
 * repository that is watched by name may have another name since.
 * @param watch key of what saw it last
 */
export function watchOf(watches: readonly WatchEntry[], ref: RepoRef, watch: string): WatchEntry | undefined {
  return claimingWatch(watches, ref) ?? watches.find(({ key }) => key === watch)
}

const BY_HAND = 'named:'

/** The key under which the catalog notes a repository that a person named for one pass, and that no entry names. */
export function keyByHand(ref: RepoRef): string {
  return `${BY_HAND}${printRepo(ref)}`
}

/** A watch's key as a person writes it. */
export function printWatch(key: string): string {
  return key.startsWith(BY_HAND) ? key.slice(BY_HAND.length) : key
}

/** Whether anybody wants new bytes of a repository: an entry, or a person who named it. Arguments as of `watchOf`. */
export function isWanted(watches: readonly WatchEntry[], ref: RepoRef, watch: string): boolean {
  return watch.startsWith(BY_HAND) || watchOf(watches, ref, watch) !== undefined
}

function covers(target: WatchTarget, ref: RepoRef): boolean {
  if (target.kind === 'repo') return target.ref.type === ref.type && isSameName(target.ref.name, ref.name)
  return ref.type === 'model' && watchCovers(target, ref.name)
}

/** The Hub finds a repository whatever the case of its letters, and spells it in one way. */
function isSameName(a: RepoName, b: RepoName): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function specificity(target: WatchTarget): number {
  if (target.kind === 'repo') return 2
  return target.match === undefined ? 0 : 1
}
