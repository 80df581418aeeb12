import type { Sha256 } from './digest.ts'
import type { ChangeEvent } from './events.ts'
import { judgeName, pathsBothFileAndFolder } from './file-name.ts'
import type { Listing, Sibling } from './listing.ts'
import { isSmallFile } from './weight-file.ts'

/** What changed between two listings of one repository, by path. */
export interface ListingDiff {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly replaced: readonly ReplacedFile[]
}

/** A file with other bytes than before under the same name. */
export interface ReplacedFile {
  readonly path: string
  readonly sizeBefore: number
  readonly sizeAfter: number
  /** The strongest digest the Hub promised: SHA-256, else git blob id. */
  readonly digestBefore: string | null
  readonly digestAfter: string | null
}

/** What is known of a new head besides the two listings. */
export interface UpdateKnowledge {
  /** SHA-256 of files of the old commit that the Hub promised none for, and that we hold, by path. */
  readonly heldSha256?: ReadonlyMap<string, Sha256> | undefined
}

/** Longest list of paths kept in one event: events are read by people and stored for ever. */
export const MAX_PATHS_IN_EVENT = 50

/** Compares two listings by path, size and digest. */
export function diffListings(before: readonly Sibling[], after: readonly Sibling[]): ListingDiff {
  const old = new Map(before.map((file) => [file.path, file]))
  const added: string[] = []
  const replaced: ListingDiff['replaced'][number][] = []
  for (const file of after) {
    const known = old.get(file.path)
    old.delete(file.path)
    if (known === undefined) added.push(file.path)
    else if (!haveSameBytes(known, file)) {
      replaced.push({
        path: file.path,
        sizeBefore: known.size,
        sizeAfter: file.size,
        digestBefore: digestOf(known),
        digestAfter: digestOf(file),
      })
    }
  }
  return { added, removed: [...old.keys()], replaced }
}

/**
 * The events that a new head's listing raises against the listing before it: `repo-updated` with what changed, and
 * `files-replaced` when weights changed under the same name. None for the first listing of a repository.
 */
export function updateEvents(
  previous: Listing | undefined,
  listing: Listing,
  known: UpdateKnowledge = {},
): ChangeEvent[] {
  if (previous === undefined || previous.commit === listing.commit) return []
  const diff = diffListings(previous.files, listing.files)
  const base = {
    repo: { type: listing.repo.type, name: listing.repo.name },
    at: listing.observedAt,
    before: previous.commit,
    after: listing.commit,
  }
  const old = new Map(previous.files.map((file) => [file.path, file]))
  const now = new Map(listing.files.map((file) => [file.path, file]))
  const isWeight = (path: string): boolean => {
    const file = now.get(path) ?? old.get(path)
    return file !== undefined && !isSmallFile(file)
  }
  const touched = [...diff.added, ...diff.removed, ...diff.replaced.map((change) => change.path)]
  const replacedWeights = diff.replaced.filter((change) => isWeight(change.path))
  const describe = (change: ReplacedFile): unknown => ({
    ...change,
    sha256Before: old.get(change.path)?.lfsOid ?? known.heldSha256?.get(change.path) ?? null,
    // Of a small file the Hub promises none; ours is in the manifest once it has arrived.
    sha256After: now.get(change.path)?.lfsOid ?? null,
  })
  const updated: ChangeEvent = {
    ...base,
    type: 'repo-updated',
    severity: touched.some(isWeight) ? 'notice' : 'info',
    detail: {
      added: diff.added.slice(0, MAX_PATHS_IN_EVENT),
      removed: diff.removed.slice(0, MAX_PATHS_IN_EVENT),
      replaced: diff.replaced.slice(0, MAX_PATHS_IN_EVENT).map(describe),
      renamed: renamedFiles(diff, old, now).slice(0, MAX_PATHS_IN_EVENT),
      changes: touched.length,
      weightsChanged: touched.some(isWeight),
      cardOnly: touched.length > 0 && touched.every((path) => path === 'README.md'),
    },
  }
  if (replacedWeights.length === 0) return [updated]
  return [
    updated,
    {
      ...base,
      type: 'files-replaced',
      severity: 'warning',
      detail: {
        replaced: replacedWeights.slice(0, MAX_PATHS_IN_EVENT).map(describe),
        changes: replacedWeights.length,
      },
    },
  ]
}

/** Removed and added files with the same bytes: each removed one has moved at most once. */
function renamedFiles(
  diff: ListingDiff,
  old: ReadonlyMap<string, Sibling>,
  now: ReadonlyMap<string, Sibling>,
): { from: string; to: string }[] {
  const gone = new Map<string, string[]>()
  for (const path of diff.removed) {
    const file = old.get(path)
    const digest = file === undefined ? null : digestOf(file)
    if (digest !== null) gone.set(digest, [...(gone.get(digest) ?? []), path])
  }
  return diff.added.flatMap((to) => {
    const file = now.get(to)
    const from = file === undefined ? undefined : gone.get(digestOf(file) ?? '')?.shift()
    return from === undefined ? [] : [{ from, to }]
  })
}

/**
 * One `unsafe-name` event when a listing has names that cannot be made on every disk as they are, names that are a file
 * and a folder at once, or names that differ only in letter case or Unicode form.
 */
export function nameEvents(listing: Listing): ChangeEvent[] {
  const findings: { path: string; verdict: string; reason: string }[] = []
  for (const file of listing.files) {
    const verdict = judgeName(file.path)
    if (verdict.kind !== 'plain') findings.push({ path: file.path, verdict: verdict.kind, reason: verdict.reason })
  }
  for (const entry of listing.refused) findings.push({ path: entry.path, verdict: 'refuse', reason: entry.reason })
  findings.push(...collisions(listing.files))
  if (findings.length === 0) return []
  return [
    {
      type: 'unsafe-name',
      severity: 'warning',
      repo: { type: listing.repo.type, name: listing.repo.name },
      at: listing.observedAt,
      before: null,
      after: listing.commit,
      detail: { names: findings.slice(0, MAX_PATHS_IN_EVENT), count: findings.length },
    },
  ]
}

function collisions(files: readonly Sibling[]): { path: string; verdict: string; reason: string }[] {
  const found: { path: string; verdict: string; reason: string }[] = []
  const folded = new Map<string, string>()
  for (const { path } of files) {
    // Such a path is kept only as an entry of the manifest; it meets no other file.
    if (judgeName(path).kind === 'keep-only') continue
    const key = path.normalize('NFKC').toUpperCase().toLowerCase()
    const first = folded.get(key)
    if (first === undefined) folded.set(key, path)
    else
      found.push({ path, verdict: 'collision', reason: `equals "${first}" where letter case or form does not count` })
  }
  for (const path of pathsBothFileAndFolder(files.map((file) => file.path))) {
    found.push({ path, verdict: 'collision', reason: 'is a file and a folder at once, or lies in one' })
  }
  return found
}

/**
 * Digests of the same kind decide: the Hub may withhold the SHA-256 of an LFS file from one caller and tell it to another,
 * and the git id of its pointer stays the same then.
 */
function haveSameBytes(before: Sibling, after: Sibling): boolean {
  if (before.size !== after.size) return false
  if (before.lfsOid !== undefined && after.lfsOid !== undefined) return before.lfsOid === after.lfsOid
  if (before.gitOid !== undefined && after.gitOid !== undefined) return before.gitOid === after.gitOid
  return digestOf(before) === digestOf(after)
}

function digestOf(file: Sibling): string | null {
  return file.lfsOid ?? file.gitOid ?? null
}
