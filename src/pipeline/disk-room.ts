import { ArchiveError } from '../domain/errors.ts'
import type { PipelineDeps } from './deps.ts'

/** How long a measurement counts: asking disk and catalog before each of thousands of small files costs more than they do. */
const MEASURE_EVERY_MS = 1000

/** What the budget and the disk still had when they were last asked, less everything admitted since. */
export interface DiskRoom {
  measuredAtMs: number
  budgetLeft: number
  diskLeft: number
}

/** Nothing is known yet: the first question measures. */
export function unmeasuredRoom(): DiskRoom {
  return { measuredAtMs: Number.NEGATIVE_INFINITY, budgetLeft: 0, diskLeft: 0 }
}

/**
 * Takes the room of one more download, or says why there is none: the archive's disk is gone, the budget is used up, or
 * the reserve would be touched. It refuses only after a new measurement, and admits no more than the last one allowed.
 * @param bytesInFlight whole sizes of the downloads that run now
 */
export async function takeRoom(
  deps: PipelineDeps,
  room: DiskRoom,
  size: number,
  bytesInFlight: number,
): Promise<ArchiveError | undefined> {
  const age = deps.clock.now() - room.measuredAtMs
  const isFresh = age >= 0 && age < MEASURE_EVERY_MS
  if (!isFresh || size > room.budgetLeft || size > room.diskLeft) {
    const refused = await measure(deps, room, size, bytesInFlight)
    if (refused !== undefined) return refused
  }
  room.budgetLeft -= size
  room.diskLeft -= size
  return undefined
}

async function measure(
  deps: PipelineDeps,
  room: DiskRoom,
  size: number,
  bytesInFlight: number,
): Promise<ArchiveError | undefined> {
  const { budgetBytes, reserveBytes } = deps.settings
  try {
    await deps.blobs.assertMounted()
  } catch (error) {
    return asArchiveError(error)
  }
  const measuredAtMs = deps.clock.now()
  const [totals, freeBytes, partialBytes] = await Promise.all([
    deps.catalog.totals(),
    deps.blobs.freeBytes(),
    deps.blobs.partialBytes(),
  ])
  room.measuredAtMs = measuredAtMs
  room.budgetLeft = budgetBytes - totals.blobBytes - bytesInFlight
  // What running downloads have written already is no longer free, and part of bytesInFlight too.
  room.diskLeft = freeBytes + partialBytes - reserveBytes - bytesInFlight
  if (size > room.budgetLeft) {
    return new ArchiveError('BUDGET_REACHED', `the archive's budget of ${budgetBytes} bytes is used up`, {
      hint: 'raise budget.total, or narrow what is kept; everything already archived stays',
    })
  }
  if (size > room.diskLeft) {
    return new ArchiveError('DISK_FULL', `the disk has ${freeBytes} bytes free, and ${reserveBytes} are the reserve`, {
      hint: 'free some space or lower budget.reserve; downloads go on by themselves, everything archived is safe',
    })
  }
  return undefined
}

/** An error of the disk as people shall read it. */
export function asArchiveError(error: unknown): ArchiveError {
  if (error instanceof ArchiveError) return error
  return new ArchiveError('DISK_FAILED', `the archive's disk did not answer: ${String(error)}`, { cause: error })
}
