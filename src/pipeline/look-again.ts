import type { Digests } from '../domain/digest.ts'
import { displayName } from '../domain/file-name.ts'
import { isContentOf } from '../domain/listing.ts'
import { printRepo } from '../domain/repo.ts'
import { isProofDue } from '../domain/second-look.ts'
import type { PartialFile, SecondLook } from '../intake-port.ts'
import { RangeIgnored } from './fill-ranges.ts'
import { transferRanges, type Transfer } from './transfer-ranges.ts'

/** Offsets that are told; more would be a list nobody reads. */
const MOST_TOLD = 100

/**
 * What a second look found at bytes that stay wrong.
 * `same-bytes`: every block came twice alike.
 * `still-wrong`: what differed was replaced, and the whole is wrong all the same. `undecided`: a block came in another way
 * each time. `no-ranges`: the source gives whole files only. `known-bytes`: the same wrong bytes were looked at before.
 */
export interface Look {
  readonly found: 'same-bytes' | 'still-wrong' | 'undecided' | 'no-ranges' | 'known-bytes'
  /** Offsets of the blocks that came differently. */
  readonly differed: readonly number[]
}

/**
 * Bytes that are as they arrived and yet wrong: each block is fetched once more from the same source and compared. What
 * comes differently is replaced by what comes twice, and the whole is proven again; that ends the look as soon as it is
 * right. One look costs up to the whole file again, so bytes that were found wrong earlier are not looked at.
 * @param wrong digests of the finished file
 * @param prove brings what is missing, and returns the digests of what is in the file
 * @returns the digests of what is in the file now; where they are right, no `look`
 * @throws ArchiveError as fillPartial; HeldBack. The next download of the same bytes goes on with the look then.
 */
export async function lookAgain(
  transfer: Transfer,
  partial: PartialFile,
  wrong: Digests,
  prove: () => Promise<Digests>,
  signal: AbortSignal,
): Promise<{ readonly digests: Digests; readonly look: Look | undefined }> {
  const { deps, job, source } = transfer
  if (await deps.blobs.isQuarantined(job.key, wrong)) {
    return { digests: wrong, look: { found: 'known-bytes', differed: [] } }
  }
  const fields = { component: 'download', repo: printRepo(source.ref), path: displayName(source.path), key: job.key }
  deps.log.warn({ ...fields, sha256: wrong.sha256 }, 'wrong bytes came: they are fetched again, to be compared')
  const comparing = partial.lookAgain()
  const { digests, replaced, hasRanges } = await compareAndMend(transfer, comparing, { wrong, prove }, signal)
  const differed = comparing.differed.slice(0, MOST_TOLD)
  const found = isContentOf(job.key, digests) ? 'mended' : foundBy(comparing, { replaced, hasRanges })
  const told = { ...fields, found, differed, replaced, comparedBytes: comparing.heldBytes }
  deps.log.warn(told, 'wrong bytes were compared with what came again')
  if (found !== 'mended') return { digests, look: { found, differed } }
  countFrom(transfer, job.size)
  return { digests, look: undefined }
}

async function compareAndMend(
  transfer: Transfer,
  look: SecondLook,
  { wrong, prove }: { readonly wrong: Digests; readonly prove: () => Promise<Digests> },
  signal: AbortSignal,
): Promise<{ digests: Digests; replaced: number; hasRanges: boolean }> {
  const { job, source } = transfer
  const isOnlyPlace = job.sources.every(({ ref }) => printRepo(ref) === printRepo(source.ref))
  const isRight = (): boolean => isContentOf(job.key, digests)
  // What came twice before a stop may have come from another place: this one must not be told for it.
  const hasMore = (): boolean => !isOnlyPlace && look.compareCarried()
  let [digests, replaced, proven, hasRanges] = [wrong, 0, 0, true]
  do {
    countFrom(transfer, look.heldBytes)
    while (!look.isOver && !isRight() && hasRanges) {
      hasRanges = await answersRanges(transfer, look, signal)
      replaced += await look.mend(signal)
      if (!isProofDue(replaced, proven)) continue
      proven = replaced
      digests = await prove()
    }
    if (replaced > proven) digests = await prove()
    proven = replaced
  } while (!isRight() && hasRanges && !look.isUndecided && hasMore())
  return { digests, replaced, hasRanges }
}

/** Compares until something is to be replaced. False: the source cannot be asked for a part of the file. */
async function answersRanges(transfer: Transfer, look: SecondLook, signal: AbortSignal): Promise<boolean> {
  try {
    await transferRanges(transfer, look, { isDone: () => look.isWaiting, whole: false }, signal)
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof RangeIgnored) return false
    throw error
  }
}

function foundBy(
  look: SecondLook,
  { replaced, hasRanges }: { readonly replaced: number; readonly hasRanges: boolean },
): Look['found'] {
  if (!hasRanges) return 'no-ranges'
  if (look.isUndecided) return 'undecided'
  return replaced > 0 ? 'still-wrong' : 'same-bytes'
}

/** Progress of the file counts from here. */
function countFrom({ deps, job, source }: Transfer, bytes: number): void {
  deps.progress.ended(source)
  deps.progress.started(source, job.size, bytes)
}
