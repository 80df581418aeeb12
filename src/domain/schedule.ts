import type { HoldReason } from './decision.ts'
import type { RepoRef } from './repo.ts'
import { splitRepoName } from './repo.ts'

/** One wanted large content that is not held. */
export interface MissingContent {
  /** Equal for equal bytes, also between snapshots. */
  readonly id: number
  readonly size: number
  /** Bytes of it that are on the disk already, in an unfinished file. */
  readonly startedBytes: number
}

/** Why no byte of a snapshot can be expected now: its repository or its commit refused, or is gone. */
export type Refusal = 'gated' | 'unavailable'

/** A snapshot with wanted files that are not held yet. */
export interface Candidate {
  readonly snapshotId: number
  readonly ref: RepoRef
  readonly createdAt: string | undefined
  /** Published while we watched, as opposed to the backlog found at the first poll. */
  readonly isNewRelease: boolean
  /** A human put it in front: the higher, the later. 0 = nobody did. */
  readonly bumpedAs: number
  /** Each content once. */
  readonly large: readonly MissingContent[]
  /** Of all missing contents, small ones too. */
  readonly missingBytes: number
  /** The answer to its last try. */
  readonly refusedAs: Refusal | undefined
  /** The watch has confirmed that the Hub does not offer it: not even tried. */
  readonly isGone: boolean
}

/** Bytes that may still be written: by the budget, and by the disk after its reserve. */
export interface Room {
  readonly budgetBytes: number
  readonly diskBytes: number
  /** Missing bytes of small files that fit: they come before every large file. */
  readonly smallBytes: number
}

export interface Scheduled {
  readonly snapshotId: number
  readonly rank: number
  readonly hold: HoldReason
}

/**
 * Order and permission of all pending snapshots: bumped first, then new releases, then the backlog, and last what was
 * refused; inside each the newest generation first and the smallest snapshot first, so that the budget is spent on the
 * most repos. A snapshot that does not fit any more is held, smaller ones behind it may still fit. Bytes that several
 * snapshots want are counted once. What was refused may be tried with what the others leave, and reserves nothing.
 */
export function scheduleSnapshots(candidates: readonly Candidate[], room: Room): Scheduled[] {
  const reserved = new Set<number>()
  const left = { budgetBytes: room.budgetBytes - room.smallBytes, diskBytes: room.diskBytes - room.smallBytes }
  return inOrder(candidates).map((candidate, rank) => {
    const hold = holdOf(candidate, room, left, reserved)
    return { snapshotId: candidate.snapshotId, rank, hold }
  })
}

function holdOf(
  candidate: Candidate,
  room: Room,
  left: { budgetBytes: number; diskBytes: number },
  reserved: Set<number>,
): HoldReason {
  if (candidate.isGone) return 'unavailable'
  // Only small files are missing: these are not held by the schedule.
  if (candidate.large.length === 0) return 'none'
  const unreserved = candidate.large.filter(({ id }) => !reserved.has(id))
  const bytes = sum(unreserved.map(({ size }) => size))
  const diskBytes = sum(unreserved.map(({ size, startedBytes }) => Math.max(0, size - startedBytes)))
  const isOverBudget = bytes > left.budgetBytes || candidate.missingBytes > room.budgetBytes
  const isOverDisk = diskBytes > left.diskBytes
  if (candidate.refusedAs !== undefined) return isOverBudget || isOverDisk ? candidate.refusedAs : 'none'
  if (isOverBudget && bytes > 0) return 'budget'
  if (isOverDisk && bytes > 0) return 'reserve'
  for (const { id } of unreserved) reserved.add(id)
  left.budgetBytes -= bytes
  left.diskBytes -= diskBytes
  return 'none'
}

function inOrder(candidates: readonly Candidate[]): Candidate[] {
  const bornAt = generationBirths(candidates)
  const keyed = candidates.map((candidate) => ({
    candidate,
    group: groupOf(candidate),
    born: bornAt.get(generationOf(candidate.ref)) ?? '',
    bytes: sum(candidate.large.map(({ size }) => size)),
  }))
  keyed.sort(
    (a, b) =>
      a.group - b.group ||
      b.candidate.bumpedAs - a.candidate.bumpedAs ||
      compareText(b.born, a.born) ||
      a.bytes - b.bytes ||
      compareText(a.candidate.ref.name, b.candidate.ref.name) ||
      a.candidate.snapshotId - b.candidate.snapshotId,
  )
  return keyed.map(({ candidate }) => candidate)
}

function groupOf(candidate: Candidate): number {
  if (candidate.isGone || candidate.refusedAs !== undefined) return 3
  if (candidate.bumpedAs > 0) return 0
  return candidate.isNewRelease ? 1 : 2
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0)
}

/**
 * The generation a repo's name tells: the leading words up to the first that starts with a digit, or with its version
 * attached: `Qwen3.5-397B-A17B` and `Qwen3.5-9B-GGUF` → `qwen3.5`, `Qwen-Image-2.1` → `qwen-image`, `QwQ-32B` → `qwq`.
 */
export function generationOf(ref: RepoRef): string {
  const words = splitRepoName(ref.name).repo.toLowerCase().split('-')
  const kept: string[] = []
  for (const word of words) {
    if (kept.length > 0 && /^[0-9]/.test(word)) break
    kept.push(word)
    if (/[0-9]/.test(word)) break
  }
  return kept.join('-')
}

/** A generation is as old as its first repository: later variants of an old generation do not make it new. */
function generationBirths(candidates: readonly Candidate[]): Map<string, string> {
  const births = new Map<string, string>()
  for (const candidate of candidates) {
    if (candidate.createdAt === undefined) continue
    const generation = generationOf(candidate.ref)
    const known = births.get(generation)
    if (known === undefined || candidate.createdAt < known) births.set(generation, candidate.createdAt)
  }
  return births
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
