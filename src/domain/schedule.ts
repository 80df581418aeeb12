import type { HoldReason } from './decision.ts'
import type { RepoRef } from './repo.ts'
import { splitRepoName } from './repo.ts'

/** A snapshot with wanted large files that are not held yet. */
export interface Candidate {
  readonly snapshotId: number
  readonly ref: RepoRef
  readonly createdAt: string | undefined
  /** Published while we watched, as opposed to the backlog found at the first poll. */
  readonly isNewRelease: boolean
  /** A human put it in front. */
  readonly isBumped: boolean
  readonly missingLargeBytes: number
}

/** Bytes that may still be written: by the budget, and by the disk after its reserve. */
export interface Room {
  readonly budgetBytes: number
  readonly diskBytes: number
}

export interface Scheduled {
  readonly snapshotId: number
  readonly rank: number
  readonly hold: HoldReason
}

/**
 * Order and permission of all pending snapshots: bumped first, then new releases, then the backlog; inside each the
 * newest generation first and the smallest snapshot first, so that the budget is spent on the most repos. A snapshot that
 * does not fit any more is held, smaller ones behind it may still fit.
 */
export function scheduleSnapshots(candidates: readonly Candidate[], room: Room): Scheduled[] {
  const bornAt = generationBirths(candidates)
  const keyed = candidates.map((candidate) => ({
    candidate,
    group: candidate.isBumped ? 0 : candidate.isNewRelease ? 1 : 2,
    born: bornAt.get(generationOf(candidate.ref)) ?? '',
  }))
  keyed.sort(
    (a, b) =>
      a.group - b.group ||
      compareText(b.born, a.born) ||
      a.candidate.missingLargeBytes - b.candidate.missingLargeBytes ||
      compareText(a.candidate.ref.name, b.candidate.ref.name) ||
      a.candidate.snapshotId - b.candidate.snapshotId,
  )
  let { budgetBytes, diskBytes } = room
  return keyed.map(({ candidate }, rank) => {
    const bytes = candidate.missingLargeBytes
    // Only small files are missing: these are not held by the schedule.
    if (bytes === 0) return { snapshotId: candidate.snapshotId, rank, hold: 'none' }
    if (bytes > budgetBytes) return { snapshotId: candidate.snapshotId, rank, hold: 'budget' }
    if (bytes > diskBytes) return { snapshotId: candidate.snapshotId, rank, hold: 'reserve' }
    budgetBytes -= bytes
    diskBytes -= bytes
    return { snapshotId: candidate.snapshotId, rank, hold: 'none' }
  })
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
