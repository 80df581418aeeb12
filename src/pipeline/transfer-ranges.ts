import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { HubFile, HubSource, ResolvedFile } from '../hub-port.ts'
import type { PartialFile, RangeSource } from '../intake-port.ts'
import type { TokenBucket } from '../lib/token-bucket.ts'
import type { Job } from '../work-rows.ts'
import type { PipelineDeps } from './deps.ts'
import { fillRanges, mayPass, RangeIgnored, wrongTotal, type FillOptions } from './fill-ranges.ts'
import { LaneBudget } from './lane-budget.ts'

/** How long it is believed that the download may go on. */
const MAY_CONTINUE_MS = 250

/** Failures in a row without a byte of progress before a source is given up for now. */
const MAX_FRUITLESS_TRIES = 5

/** A server that asks for a longer pause gets it: the download goes on later, and its place goes to another. */
const LONGEST_WAIT_MS = 10_000

/** What the downloads of one run share. */
export interface SharedTransfer {
  /** The cap on all of them together. */
  readonly bucket: TokenBucket
  /** Asked before each request: false when the queue was paused, or the window closed, while a file was on its way. */
  mayContinue(job: Job): Promise<boolean>
  /** Bytes came before a failure: it is not one of a row. */
  onProgress(job: Job): void
}

/** Thrown when a download has to wait although nothing is wrong: its bytes are kept, and its job goes back. */
export class HeldBack extends Error {
  override readonly name = 'HeldBack'
}

/** One job's bytes on their way from one source. */
export interface Transfer {
  readonly deps: PipelineDeps
  readonly job: Job
  readonly source: HubFile
  readonly shared: SharedTransfer
  /** Where the source has its bytes; asked for when it is needed first, and again when it has expired. */
  resolved: ResolvedFile | undefined
}

/**
 * Fetches what is missing until the partial is whole. A server that knows no ranges is asked for the whole file.
 * @throws ArchiveError TRANSFER_*, DISK_*, REPO_*, FILE_UNAVAILABLE, HUB_*; HeldBack
 */
export async function fillPartial(transfer: Transfer, partial: PartialFile, signal: AbortSignal): Promise<void> {
  const isDone = (): boolean => partial.heldBytes === transfer.job.size
  for (let ignored = 0; ignored <= MAX_FRUITLESS_TRIES; ignored += 1) {
    try {
      return await transferRanges(transfer, partial, { isDone, whole: ignored > 0 }, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RangeIgnored)) throw error
      // What is here may belong to other bytes, so nothing is appended on trust.
      await partial.restart()
    }
  }
  throw new ArchiveError('TRANSFER_INTERRUPTED', 'the server sends whole files only, and none arrived whole')
}

/**
 * Moves ranges until enough is there. Progress forgives earlier failures; a signed link is renewed when it expires.
 * @param how.whole one request for everything
 * @throws ArchiveError as fillPartial; HeldBack, RangeIgnored
 */
export async function transferRanges(
  transfer: Transfer,
  ranges: RangeSource,
  how: { readonly isDone: () => boolean; readonly whole: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { deps } = transfer
  let [fruitless, hasMoved] = [0, false]
  while (!how.isDone()) {
    const before = ranges.heldBytes
    await mayContinue(transfer)
    transfer.resolved ??= await resolveChecked(transfer, signal)
    try {
      await fillRanges(fillOptions(transfer, transfer.resolved, ranges, how.whole), signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!mayPass(error)) throw error
      fruitless = ranges.heldBytes > before ? 0 : fruitless + 1
      if (fruitless === 0) transfer.shared.onProgress(transfer.job)
      hasMoved ||= fruitless === 0
      const waitMs = waitBefore(fruitless, error)
      if (fruitless >= mostTries(error, hasMoved) || waitMs > LONGEST_WAIT_MS) throw error
      if (errorCodeOf(error) === 'LINK_EXPIRED') transfer.resolved = undefined
      if (waitMs > 0) await deps.clock.sleep(waitMs, signal)
    }
  }
}

/** A server that brought nothing yet is asked once more where it answered that it cannot now, and later where it is not there. */
function mostTries(error: unknown, hasMoved: boolean): number {
  if (hasMoved || !(error instanceof ArchiveError) || error.code !== 'HUB_UNREACHABLE') return MAX_FRUITLESS_TRIES
  return error.details['status'] === undefined ? 1 : 2
}

/** Milliseconds until the next request: none after progress. */
function waitBefore(fruitless: number, error: unknown): number {
  return fruitless === 0 ? 0 : Math.max(200 * 2 ** fruitless, askedPauseMs(error))
}

/** What the server asked for; 0 when it did not. */
export function askedPauseMs(error: unknown): number {
  const asked = error instanceof ArchiveError ? error.details['retryAfterMs'] : undefined
  return typeof asked === 'number' ? asked : 0
}

function fillOptions(transfer: Transfer, resolved: ResolvedFile, partial: RangeSource, whole: boolean): FillOptions {
  const { deps, job, source, shared } = transfer
  let believedUntilMs = 0
  return {
    hub: deps.hub,
    source,
    resolved,
    size: job.size,
    partial,
    bucket: shared.bucket,
    budget: budgetOf(deps),
    whole,
    onBytes: (bytes) => deps.progress.moved(source, bytes),
    mayContinue: async () => {
      const now = deps.clock.now()
      if (now < believedUntilMs) return
      await mayContinue(transfer)
      believedUntilMs = now + MAY_CONTINUE_MS
    },
  }
}

async function mayContinue({ shared, job }: Transfer): Promise<void> {
  if (!(await shared.mayContinue(job))) throw new HeldBack('the queue was paused or the window closed')
}

const budgets = new WeakMap<HubSource, LaneBudget>()

/** One for all downloads from a Hub in this process, so that what was learnt about a host is not forgotten. */
function budgetOf({ hub, clock }: PipelineDeps): LaneBudget {
  const known = budgets.get(hub)
  if (known !== undefined) return known
  const budget = new LaneBudget(clock)
  budgets.set(hub, budget)
  return budget
}

/**
 * Asks for one byte, for the size that comes with it.
 * @throws ArchiveError HUB_ANSWER_INVALID, TRANSFER_INVALID when it is another than the listing's, or as fillPartial
 */
export async function assertSizeServed(transfer: Transfer, signal: AbortSignal): Promise<void> {
  const { deps, job, source } = transfer
  transfer.resolved ??= await resolveChecked(transfer, signal)
  await using body = await deps.hub.openRange(transfer.resolved, 0, 1, signal)
  if (body.totalSize !== job.size) throw wrongTotal(source, body.totalSize, job.size)
}

async function resolveChecked({ deps, job, source }: Transfer, signal: AbortSignal): Promise<ResolvedFile> {
  const resolved = await deps.hub.resolveFile(source, signal)
  const name = `${displayName(source.path)} of ${printRepo(source.ref)}`
  if (resolved.size !== undefined && resolved.size !== job.size) {
    throw new ArchiveError(
      'HUB_ANSWER_INVALID',
      `the Hub says ${name} has ${resolved.size} bytes, its listing says ${job.size}`,
      { hint: 'nothing was stored; it is tried again later' },
    )
  }
  const promised = job.key.startsWith('sha256-') ? job.key.slice('sha256-'.length) : undefined
  if (promised !== undefined && resolved.etag?.length === 64 && resolved.etag !== promised) {
    throw new ArchiveError('DIGEST_MISMATCH', `the Hub now promises another SHA-256 for ${name} than its listing did`, {
      hint: 'nothing was stored; both digests are in the details',
      details: { promised, now: resolved.etag },
    })
  }
  return resolved
}
