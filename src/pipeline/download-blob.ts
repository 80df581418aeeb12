import type { Digests, Sha256 } from '../domain/digest.ts'
import { ArchiveError, errorCodeOf, ERROR_CODES } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { HubFile, HubSource, ResolvedFile } from '../hub-port.ts'
import type { PartialFile } from '../intake-port.ts'
import type { TokenBucket } from '../lib/token-bucket.ts'
import type { Job } from '../work-rows.ts'
import type { PipelineDeps } from './deps.ts'
import { fillRanges, RangeIgnored, type FillOptions } from './fill-ranges.ts'
import { LaneBudget } from './lane-budget.ts'

/** Times that bytes on disk may turn out to be damaged before a disk is no longer trusted with a file. */
const MAX_DAMAGES = 3
/** How long it is believed that the download may go on. */
const MAY_CONTINUE_MS = 250

/** Failures in a row without a byte of progress before a source is given up for now. */
const MAX_FRUITLESS_TRIES = 5

/** Refusals of a whole repository: its other files would be refused alike. */
const REPO_REFUSALS = new Set(['REPO_GATED', 'REPO_DISABLED', 'REPO_UNAVAILABLE'])

/** What the downloads of one run share. */
export interface SharedTransfer {
  readonly bucket: TokenBucket | undefined
  /** Repositories that refused, by their printed name, with the refusal. Filled here. */
  readonly closed: Map<string, Closure>
  /** Asked before each request: false when the queue was paused, or the window closed, while a file was on its way. */
  mayContinue(job: Job): Promise<boolean>
}

/** A repository's refusal, believed until this time. */
export interface Closure {
  readonly refusal: ArchiveError
  readonly untilMs: number
}

/** How long the refusal of one file stands for the repository's other files. */
const CLOSED_MS = 5 * 60_000

/** Thrown when a download has to wait although nothing is wrong: its bytes are kept, and its job goes back. */
export class HeldBack extends Error {
  override readonly name = 'HeldBack'
}

/** Bytes of a job, whole in their partial file or held already. */
export interface Brought {
  readonly digests: Digests
  /** Where they came from; undefined when the blob was on disk already and was only proven. */
  readonly source: HubFile | undefined
}

/**
 * Brings the bytes of one job into its partial file, resuming what is there, and returns their digests as read back
 * from disk after fsync. Sources are tried in order; a source that lists other bytes than promised is passed over.
 * @throws ArchiveError the last source's failure, TRANSFER_*, DISK_*, REPO_*, FILE_UNAVAILABLE, HUB_*; HeldBack
 */
export async function downloadBlob(
  deps: PipelineDeps,
  job: Job,
  shared: SharedTransfer,
  signal: AbortSignal,
): Promise<Brought> {
  const held = await digestOfHeld(deps, job, signal)
  if (held !== undefined) return { digests: held, source: undefined }
  let failure: Error = new ArchiveError('FILE_UNAVAILABLE', `no repository lists the bytes ${job.key} any more`, {
    hint: 'it is tried again later; another repository may come to list them',
  })
  for (const source of job.sources) {
    const closure = shared.closed.get(printRepo(source.ref))
    if (closure !== undefined && deps.clock.now() < closure.untilMs) {
      failure = closure.refusal
      continue
    }
    try {
      return { digests: await bringFrom(deps, job, source, shared, signal), source }
    } catch (error) {
      signal.throwIfAborted()
      // A disk that fails would fail for every other source too.
      if (error instanceof HeldBack || ERROR_CODES[errorCodeOf(error)].exitCode === 9) throw error
      failure = error instanceof Error ? error : new Error(String(error))
      if (error instanceof ArchiveError && REPO_REFUSALS.has(error.code)) {
        shared.closed.set(printRepo(source.ref), { refusal: error, untilMs: deps.clock.now() + CLOSED_MS })
      }
      deps.log.debug(
        {
          component: 'download',
          repo: printRepo(source.ref),
          path: displayName(source.path),
          code: errorCodeOf(error),
          err: error,
        },
        'source failed',
      )
    }
  }
  throw failure
}

async function bringFrom(
  deps: PipelineDeps,
  job: Job,
  source: HubFile,
  shared: SharedTransfer,
  signal: AbortSignal,
): Promise<Digests> {
  await using partial = await deps.blobs.openPartial(job.key, job.size, signal)
  deps.progress.started(source, job.size, partial.heldBytes)
  try {
    for (let damages = 0; ; damages += 1) {
      await fillPartial({ deps, job, source, partial, shared }, signal)
      try {
        return await partial.finish(signal)
      } catch (error) {
        if (errorCodeOf(error) !== 'PARTIAL_DAMAGED' || damages >= MAX_DAMAGES) throw error
        deps.log.warn({ component: 'download', key: job.key, err: error }, 'damaged blocks are fetched again')
      }
    }
  } catch (error) {
    deps.progress.ended(source)
    throw error
  }
}

/** A blob that is on disk although the catalog does not know it (a crash, a lost catalog): proven, not fetched. */
async function digestOfHeld(deps: PipelineDeps, job: Job, signal: AbortSignal): Promise<Digests | undefined> {
  if (!job.key.startsWith('sha256-')) return undefined
  const sha256 = job.key.slice('sha256-'.length) as Sha256
  if ((await deps.blobs.sizeOf(sha256)) !== job.size) return undefined
  const digests = await deps.blobs.digest(sha256, signal)
  return digests.sha256 === sha256 ? digests : undefined
}

interface Transfer {
  readonly deps: PipelineDeps
  readonly job: Job
  readonly source: HubFile
  readonly partial: PartialFile
  readonly shared: SharedTransfer
}

/** Fetches until the partial is whole. Progress forgives earlier failures; a signed link is renewed when it expires. */
async function fillPartial(transfer: Transfer, signal: AbortSignal): Promise<void> {
  const { deps, job, source, partial } = transfer
  let resolved: ResolvedFile | undefined
  let whole = false
  let fruitless = 0
  while (partial.heldBytes < job.size) {
    const before = partial.heldBytes
    await mayContinue(transfer)
    try {
      resolved ??= await resolveChecked(deps, job, source, signal)
      await fillRanges(fillOptions(transfer, resolved, whole), signal)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof RangeIgnored) {
        // What is here may belong to other bytes, so nothing is appended on trust.
        await partial.restart()
        fruitless += whole ? 1 : 0
        whole = true
        if (fruitless < MAX_FRUITLESS_TRIES) continue
        throw new ArchiveError('TRANSFER_INTERRUPTED', 'the server sends whole files only, and none arrived whole')
      }
      const code = errorCodeOf(error)
      if (error instanceof HeldBack || ERROR_CODES[code].retry !== 'now') throw error
      fruitless = partial.heldBytes > before ? 0 : fruitless + 1
      if (fruitless >= MAX_FRUITLESS_TRIES) throw error
      if (code === 'LINK_EXPIRED') resolved = undefined
      if (fruitless > 0) await deps.clock.sleep(200 * 2 ** fruitless, signal)
    }
  }
}

function fillOptions(transfer: Transfer, resolved: ResolvedFile, whole: boolean): FillOptions {
  const { deps, job, source, partial, shared } = transfer
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

async function resolveChecked(
  deps: PipelineDeps,
  job: Job,
  source: HubFile,
  signal: AbortSignal,
): Promise<ResolvedFile> {
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
