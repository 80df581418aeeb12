import type { BlobStore } from '../blob-port.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { nowIso, raise, type PipelineDeps } from './deps.ts'

/** Two failed fsyncs within this time are a disk that fails, not a file that failed. */
const FSYNC_MEMORY_MS = 60 * 60_000

/**
 * A refusal is news again only when the disk refused nothing of its kind for so long: on a full disk some writes find
 * room and the next do not.
 */
const QUIET_MS = 60 * 60_000

/** When an fsync last failed, by store: runs of jobs come and go, the disk stays. */
const lastFsyncFailure = new WeakMap<BlobStore, number>()

/** Whether the error is a failed fsync of one file. The disk being full is another matter: that meets every file. */
export function isFsyncFailure(error: unknown): boolean {
  if (!(error instanceof ArchiveError) || error.code !== 'DISK_FAILED') return false
  return error.details['syscall'] === 'fsync' || error.details['syscall'] === 'fdatasync'
}

/** Notes a failed fsync. Returns whether it is the second within an hour: then the disk itself is not to be trusted. */
export function isSecondFsyncFailure(deps: Pick<PipelineDeps, 'blobs' | 'clock'>): boolean {
  const nowMs = deps.clock.now()
  const last = lastFsyncFailure.get(deps.blobs)
  lastFsyncFailure.set(deps.blobs, nowMs)
  return last !== undefined && Math.abs(nowMs - last) < FSYNC_MEMORY_MS
}

/** Who met the refusal: each goes on by itself, and only when all do the pause is over. */
export type DiskUser = 'watch' | 'jobs'

/**
 * What the disk refused, whoever met it. Each trouble is told once, as soon as the catalog can be written: on a full disk
 * the ballast is given up for that.
 */
export class DiskPause {
  readonly #refused = new Map<DiskUser, string>()
  /** Code → when it was met last. */
  readonly #met = new Map<string, number>()
  #untold: ChangeEvent | undefined

  /** The disk refused. Tells it if it is news. */
  async refused(user: DiskUser, deps: PipelineDeps, error: ArchiveError): Promise<void> {
    const nowMs = deps.clock.now()
    const isNew = Math.abs(nowMs - (this.#met.get(error.code) ?? Number.NEGATIVE_INFINITY)) > QUIET_MS
    this.#met.set(error.code, nowMs)
    this.#refused.set(user, error.code)
    if (isNew) this.#untold = refusalEvent(deps, error)
    if (error.code === 'DISK_FULL') await deps.blobs.dropBallast().catch(() => false)
    await this.#tell(deps)
  }

  /** The disk took this one's work again. Tells what could not be told before. */
  async resumed(user: DiskUser, deps: PipelineDeps): Promise<void> {
    const code = this.#refused.get(user)
    if (code === undefined) return
    await this.#tell(deps)
    this.#refused.delete(user)
    deps.log.info({ component: 'disk', user, code }, 'the disk takes work again')
  }

  async #tell(deps: PipelineDeps): Promise<void> {
    const event = this.#untold
    if (event === undefined) return
    try {
      await raise(deps, [event])
      this.#untold = undefined
    } catch (error) {
      // The catalog is on the same disk. The log has it, and the event follows when the disk takes it.
      deps.log.warn({ component: 'disk', err: error }, 'the refusal of the disk could not be logged as an event yet')
    }
  }
}

function refusalEvent(deps: PipelineDeps, error: ArchiveError): ChangeEvent {
  return {
    type: 'disk-low',
    severity: error.code === 'DISK_FULL' ? 'warning' : 'critical',
    repo: undefined,
    at: nowIso(deps),
    before: null,
    after: error.code,
    detail: { message: error.message, hint: error.hint, ...error.details },
  }
}

/** Whether the disk itself refused, not our own reserve or budget, which the schedule tells of. */
export function isRefusalOfDisk(error: ArchiveError): boolean {
  return error.code !== 'BUDGET_REACHED' && !(error.code === 'DISK_FULL' && error.details['isReserve'] === true)
}
