import type { DecisionReason, FileDecision, KeepPolicy } from './decision.ts'
import { judgeName } from './file-name.ts'
import { matchGlob } from './glob.ts'
import { contentKeyOf, type Sibling } from './listing.ts'
import { foldersWithShardIndex, isSmallFile, quantOf, shardSetOf, weightFormatOf } from './weight-file.ts'

/** Text that tells two policies apart; equal texts decide alike. */
export function policyKeyOf(keep: KeepPolicy): string {
  return JSON.stringify([
    1,
    keep.files,
    keep.formats ?? null,
    keep.quants ?? null,
    keep.include,
    keep.exclude,
    keep.maxRepoBytes ?? null,
  ])
}

/**
 * Decides for every file of a listing whether its bytes are wanted, with the reason. Small files are wanted unless
 * excluded; a shard set is wanted whole as soon as one member is; a repo whose wanted large files exceed `max_repo`
 * keeps only its small files. Pure; linear in files × globs.
 */
export function decideFiles(files: readonly Sibling[], keep: KeepPolicy): FileDecision[] {
  const decisions = files.map((file) => decideAlone(file, keep))
  wantSetsWhole(files, decisions)
  return refuseTooLarge(files, decisions, keep.maxRepoBytes)
}

function decideAlone(file: Sibling, keep: KeepPolicy): FileDecision {
  const decide = (take: boolean, reason: DecisionReason, detail: string): FileDecision => ({
    path: file.path,
    take,
    reason,
    detail,
  })
  const verdict = judgeName(file.path)
  if (verdict.kind === 'refuse') return decide(false, 'unsafe-name', `the name ${verdict.reason}`)
  if (!file.path.isWellFormed()) {
    return decide(false, 'unsafe-name', 'the name is not valid Unicode, so no request can name the file')
  }
  if (contentKeyOf(file) === undefined) {
    return decide(false, 'digest-unknown', 'the Hub withholds the digest, so the bytes could not be proven')
  }
  const excludedBy = keep.exclude.find((glob) => matchGlob(glob, file.path))
  if (excludedBy !== undefined) return decide(false, 'excluded', `matches keep.exclude "${excludedBy}"`)
  if (isSmallFile(file)) return decide(true, 'small-file', 'small files are always kept')
  if (keep.files === 'metadata') return decide(false, 'metadata-only', 'keep.files is "metadata"')
  const format = weightFormatOf(file) ?? 'other'
  if (keep.formats !== undefined && !keep.formats.includes(format)) {
    return decide(false, 'format-not-wanted', `${format} is not in keep.formats (${keep.formats.join(', ')})`)
  }
  const quant = quantOf(file.path)
  if (keep.quants !== undefined && quant !== undefined && !keep.quants.includes(quant)) {
    return decide(false, 'quant-not-wanted', `${quant} is not in keep.quants (${keep.quants.join(', ')})`)
  }
  if (!keep.include.some((glob) => matchGlob(glob, file.path))) {
    return decide(false, 'not-included', `matches none of keep.include (${keep.include.join(', ')})`)
  }
  return decide(true, 'wanted', `${quant ?? format} is wanted`)
}

function wantSetsWhole(files: readonly Sibling[], decisions: FileDecision[]): void {
  const indexed = foldersWithShardIndex(files.map((file) => file.path))
  const sets = files.map((file) => (isSmallFile(file) ? undefined : shardSetOf(file.path, indexed)))
  const wantedSets = new Set<string>()
  for (const [at, set] of sets.entries()) {
    if (set !== undefined && decisions[at]?.take === true) wantedSets.add(set)
  }
  for (const [at, set] of sets.entries()) {
    const decision = decisions[at]
    if (set === undefined || decision === undefined || decision.take || !wantedSets.has(set)) continue
    if (decision.reason === 'unsafe-name' || decision.reason === 'digest-unknown') continue
    decisions[at] = {
      path: decision.path,
      take: true,
      reason: 'shard-set',
      detail: 'another shard of its set is wanted, and a set is kept whole',
    }
  }
}

function refuseTooLarge(
  files: readonly Sibling[],
  decisions: FileDecision[],
  maxRepoBytes: number | undefined,
): FileDecision[] {
  if (maxRepoBytes === undefined) return decisions
  let bytes = 0
  for (const [at, file] of files.entries()) {
    if (decisions[at]?.take === true && !isSmallFile(file)) bytes += file.size
  }
  if (bytes <= maxRepoBytes) return decisions
  return decisions.map((decision, at) => {
    const file = files[at]
    if (!decision.take || file === undefined || isSmallFile(file)) return decision
    return {
      path: decision.path,
      take: false,
      reason: 'repo-too-large',
      detail: `the wanted large files have ${bytes} bytes, more than keep.max_repo (${maxRepoBytes})`,
    }
  })
}
