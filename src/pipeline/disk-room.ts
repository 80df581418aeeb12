import { ArchiveError } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { PipelineDeps } from './deps.ts'

/** How long a measurement counts: asking disk and catalog before each of thousands of small files costs more than they do. */
const MEASURE_EVERY_MS = 1000

/** Unfinished files that are looked at one by one when room is short. */
const MAX_STARTED = 100

/** What is on the archive's disk now. */
export interface Stored {
  /** What the budget counts: blobs, what is set aside, and unfinished files that nobody wants any more. */
  readonly usedBytes: number
  readonly freeBytes: number
  /** Sizes of unfinished files, without the small ones that are downloaded now. */
  readonly partials: ReadonlyMap<ContentKey, number>
}

/** What the budget and the disk still had when they were last asked, less everything admitted since. */
export interface DiskRoom {
  measuredAtMs: number
  freeBytes: number
  budgetLeft: number
  diskLeft: number
  /** Sizes of the largest unfinished files that wait for their download to go on. */
  started: ReadonlyMap<ContentKey, number>
}

/** Nothing is known yet: the first question measures. */
export function unmeasuredRoom(): DiskRoom {
  return { measuredAtMs: Number.NEGATIVE_INFINITY, freeBytes: 0, budgetLeft: 0, diskLeft: 0, started: new Map() }
}

/** @param running contents that are downloaded now: wanted, whatever the catalog says */
export async function measureStored(
  deps: Pick<PipelineDeps, 'blobs' | 'catalog'>,
  running: ReadonlyMap<ContentKey, number>,
): Promise<Stored> {
  const [totals, freeBytes, quarantineBytes, partials] = await Promise.all([
    deps.catalog.totals(),
    deps.blobs.freeBytes(),
    deps.blobs.quarantineBytes(),
    // What a small content has on the disk already makes no difference, and there may be hundreds.
    deps.blobs.partialSizes((key) => (running.get(key) ?? Number.POSITIVE_INFINITY) <= SMALL_CONTENT_BYTES),
  ])
  let usedBytes = totals.blobBytes + quarantineBytes
  const idle = [...partials.keys()].filter((key) => !running.has(key))
  for (const key of await deps.catalog.unwantedKeys(idle)) usedBytes += partials.get(key) ?? 0
  return { usedBytes, freeBytes, partials }
}

/**
 * Asks disk and catalog, if the last answer is too old, what they have left beside the downloads that run.
 * @param running whole sizes of the downloads that run now
 * @returns why nothing at all can be stored: the archive's disk is gone
 */
export async function measureRoom(
  deps: PipelineDeps,
  room: DiskRoom,
  running: ReadonlyMap<ContentKey, number>,
): Promise<ArchiveError | undefined> {
  const age = deps.clock.now() - room.measuredAtMs
  if (age >= 0 && age < MEASURE_EVERY_MS) return undefined
  try {
    await deps.blobs.assertMounted()
  } catch (error) {
    return asArchiveError(error)
  }
  const { budgetBytes, reserveBytes } = deps.settings
  const measuredAtMs = deps.clock.now()
  const { usedBytes, freeBytes, partials } = await measureStored(deps, running)
  room.measuredAtMs = measuredAtMs
  room.freeBytes = freeBytes
  room.budgetLeft = budgetBytes - usedBytes
  room.diskLeft = freeBytes - reserveBytes
  for (const [key, size] of running) {
    room.budgetLeft -= size
    // What it has written already is no longer free.
    room.diskLeft -= Math.max(0, size - (partials.get(key) ?? 0))
  }
  room.started = largest([...partials].filter(([key]) => !running.has(key)))
  return undefined
}

/** Those that lack least, as far as a lease looks at each: of the others all is counted as lacking. */
function largest(unfinished: readonly (readonly [ContentKey, number])[]): Map<ContentKey, number> {
  return new Map(unfinished.toSorted(([, one], [, other]) => other - one).slice(0, MAX_STARTED))
}

/** Largest content that fits, and the same for contents of which a part is on the disk already. */
export function limitsOf(room: DiskRoom): { maxBytes: number; maxBytesOf: ReadonlyMap<ContentKey, number> } {
  const limit = (startedBytes: number): number => Math.min(room.budgetLeft, room.diskLeft + startedBytes)
  return { maxBytes: limit(0), maxBytesOf: new Map([...room.started].map(([key, bytes]) => [key, limit(bytes)])) }
}

/** Whether this content fits by these limits. A small one comes whole again, whatever is there of it. */
export function fits(room: DiskRoom, { key, size }: { readonly key: ContentKey; readonly size: number }): boolean {
  const { maxBytes, maxBytesOf } = limitsOf(room)
  return size <= ((size > SMALL_CONTENT_BYTES ? maxBytesOf.get(key) : undefined) ?? maxBytes)
}

/** Takes the room of one more download. */
export function takeRoom(room: DiskRoom, content: { readonly key: ContentKey; readonly size: number }): void {
  room.budgetLeft -= content.size
  room.diskLeft -= Math.max(0, content.size - (room.started.get(content.key) ?? 0))
}

/** Why a content of this size does not fit. */
export function refusalOf(settings: PipelineDeps['settings'], room: DiskRoom, size: number): ArchiveError {
  const { budgetBytes, reserveBytes } = settings
  if (size > room.budgetLeft) {
    return new ArchiveError('BUDGET_REACHED', `the archive's budget of ${budgetBytes} bytes is used up`, {
      hint: 'raise budget.total, or narrow what is kept; everything already archived stays',
    })
  }
  const message = `the disk has ${room.freeBytes} bytes free, and ${reserveBytes} are the reserve`
  return new ArchiveError('DISK_FULL', message, {
    hint: 'free some space or lower budget.reserve; downloads go on by themselves, everything archived is safe',
    details: { isReserve: true },
  })
}

/** An error of the disk as people shall read it. */
export function asArchiveError(error: unknown): ArchiveError {
  if (error instanceof ArchiveError) return error
  return new ArchiveError('DISK_FAILED', `the archive's disk did not answer: ${String(error)}`, { cause: error })
}
