import type { Digests, Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { ContentSource } from '../hub-port.ts'
import type { SmallContent, SmallIntake } from '../intake-port.ts'
import { GroupCommit } from '../lib/group-commit.ts'
import type { CompletedJob, Job } from '../work-rows.ts'
import { announce, nowIso } from './deps.ts'
import { limitsOf, measureRoom, takeRoom } from './disk-room.ts'
import { bucketOf, leaseBasics, type JobRun } from './job-run.ts'
import { giveBack, settleFailure } from './settle-failure.ts'
import { HeldBack } from './transfer-ranges.ts'
import { noteRefusal, trySources } from './try-sources.ts'
import { attest, setAside } from './verify-blob.ts'

/** Contents on their way at the same time; the hub's connections are fewer, so that one is always ready for the next request. */
const PARALLEL_REQUESTS = 24
/** Leased at once and not settled: enough that a shared fsync and a shared transaction serve many. */
const MAX_ACTIVE = 768
/** More are leased when so few are left. */
const LOW_WATER = 384
const MAX_COMPLETED_TOGETHER = 256
/** A transaction costs an fsync of the catalog, and nobody waits for one file of many. */
const GATHER_COMPLETED_MS = 40
/** How long the answer to "is the queue paused?" counts. */
const PAUSE_ASKED_EVERY_MS = 1000

/** Bytes that are published, and where they came from; undefined when they were there already. */
interface Brought {
  readonly digests: Digests
  readonly source: ContentSource | undefined
}

/**
 * Small contents: thousands of them share a few connections, and each step that costs the same for one and for many (a
 * lease, an fsync of a folder, a transaction) is taken for all that wait for it.
 */
export class SmallLane implements AsyncDisposable {
  readonly #run: JobRun
  readonly #intake: SmallIntake
  readonly #completed = new GroupCommit<CompletedJob, void>((done) => this.#complete(done), {
    maxItems: MAX_COMPLETED_TOGETHER,
    gatherMs: GATHER_COMPLETED_MS,
  })
  /** Leased and not begun: of what waits nothing more is held. */
  readonly #queued: Job[] = []
  /** Begun, and not here yet. */
  #arriving = 0
  readonly #working = new Set<Promise<void>>()
  /** The last lease gave all there was. */
  #isDry = false
  /** When the first file of each repository was answered in this run. */
  readonly #firstOf = new Map<string, Promise<void>>()
  #pauseAskedAtMs = Number.NEGATIVE_INFINITY
  #isPaused = false

  constructor(run: JobRun) {
    this.#run = run
    this.#intake = run.deps.blobs.openIntake()
  }

  /** Jobs that are leased and not settled. */
  get active(): number {
    return this.#queued.length + this.#working.size
  }

  /** Leases more where few are left. Returns whether something was started. */
  async refill(): Promise<boolean> {
    const { deps, room, running } = this.#run
    if (this.active > LOW_WATER) return false
    const refusal = await measureRoom(deps, room, running)
    // What runs may have been refused meanwhile.
    this.#run.result.stoppedBy ??= refusal
    if (this.#run.result.stoppedBy !== undefined) return false
    const limit = MAX_ACTIVE - this.active
    const jobs = await deps.catalog.leaseJobs({
      ...leaseBasics(this.#run),
      maxSize: SMALL_CONTENT_BYTES,
      maxTotalBytes: limitsOf(room).maxBytes,
      limit,
    })
    this.#isDry = jobs.length < limit
    for (const job of jobs) {
      takeRoom(room, job)
      running.set(job.key, job.size)
      this.#queued.push(job)
    }
    this.#begin()
    return jobs.length > 0
  }

  /** Waits until everything that was started is settled. */
  async idle(): Promise<void> {
    while (this.active > 0) await Promise.all(this.#working)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle()
    await this.#intake[Symbol.asyncDispose]()
  }

  /** As many of what waits as may be on their way; when nothing may begin any more, all of it is given back. */
  #begin(): void {
    const { signal, result } = this.#run
    if (signal.aborted || result.stoppedBy !== undefined) {
      const jobs = this.#queued.splice(0)
      if (jobs.length > 0) this.#track(jobs, giveBack(this.#run, jobs))
    }
    while (this.#arriving < PARALLEL_REQUESTS) {
      const job = this.#queued.shift()
      if (job === undefined) return
      this.#arriving += 1
      this.#track([job], this.#work(job))
    }
  }

  #track(jobs: readonly Job[], work: Promise<void>): void {
    const working = work.finally(() => {
      for (const { key } of jobs) this.#run.running.delete(key)
      this.#working.delete(working)
      if (this.active === 0 || (!this.#isDry && this.active <= LOW_WATER)) this.#run.changes.wake()
    })
    this.#working.add(working)
  }

  async #work(job: Job): Promise<void> {
    const { deps, result } = this.#run
    let isArriving = true
    const arrived = (): void => {
      if (!isArriving) return
      isArriving = false
      this.#arriving -= 1
      this.#begin()
    }
    try {
      const { digests, source } = (await this.#findHeld(job)) ?? (await this.#bring(job, arrived))
      arrived()
      const attestedBy = await attest(deps, job, digests)
      await this.#completed.add({ jobId: job.jobId, digests, attestedBy })
      if (source === undefined) return
      result.fetchedFiles += 1
      result.fetchedBytes += job.size
      deps.progress.finished(source, job.size)
    } catch (error) {
      arrived()
      await settleFailure(this.#run, job, error)
    }
  }

  /** A blob that is on disk although the catalog does not know it (a crash, a lost catalog): proven, not fetched. */
  async #findHeld(job: Job): Promise<Brought | undefined> {
    if (!job.key.startsWith('sha256-')) return undefined
    const { blobs } = this.#run.deps
    const sha256 = job.key.slice('sha256-'.length) as Sha256
    if ((await blobs.sizeOf(sha256)) !== job.size) return undefined
    const digests = await blobs.digest(sha256, this.#run.signal)
    return digests.sha256 === sha256 ? { digests, source: undefined } : undefined
  }

  /** @param arrived told when the bytes are here; only then the disk has them, too */
  #bring(job: Job, arrived: () => void): Promise<Brought> {
    const { deps, closed, signal } = this.#run
    return trySources(deps, job, closed, signal, async (source) => {
      using content = await this.#intake.take(job.size, signal)
      try {
        await this.#fetch(job, source, content)
        arrived()
        const stored = await content.store(job.key)
        if (!stored.isPublished) throw await setAside(deps, job, stored, source, signal)
        return { digests: stored.digests, source }
      } catch (error) {
        deps.progress.ended(source)
        throw error
      }
    })
  }

  async #fetch(job: Job, source: ContentSource, content: SmallContent): Promise<void> {
    const { deps, signal } = this.#run
    signal.throwIfAborted()
    // What stopped the run stops what has not begun: the disk would refuse each of hundreds.
    if (this.#run.result.stoppedBy !== undefined) throw this.#run.result.stoppedBy
    if (await this.#mustWait()) throw new HeldBack('the queue was paused')
    await bucketOf(this.#run)?.take(job.size, signal)
    const { etag } = await this.#ask(job, source, content)
    const promised = job.key.startsWith('sha256-') ? job.key.slice('sha256-'.length) : undefined
    if (promised !== undefined && etag?.length === 64 && etag !== promised) {
      const name = `${displayName(source.path)} of ${printRepo(source.ref)}`
      throw new ArchiveError(
        'DIGEST_MISMATCH',
        `the Hub now promises another SHA-256 for ${name} than its listing did`,
        { hint: 'nothing was stored; both digests are in the details', details: { promised, now: etag } },
      )
    }
    deps.progress.moved(source, job.size)
  }

  /** The first file of a repository is asked for alone: when the repository refuses, its others need not be. */
  async #ask(job: Job, source: ContentSource, content: SmallContent): Promise<{ etag: string | undefined }> {
    const { deps, closed, signal } = this.#run
    const repo = printRepo(source.ref)
    const first = this.#firstOf.get(repo)
    if (first !== undefined) {
      await first
      const closure = closed.get(repo)
      if (closure !== undefined && deps.clock.now() < closure.untilMs) throw closure.refusal
    }
    deps.progress.started(source, job.size, 0)
    const asked = deps.hub.fetchSmall(source, content.bytes, signal)
    if (first === undefined) this.#firstOf.set(repo, this.#closeIfRefused(repo, asked))
    return asked
  }

  async #closeIfRefused(repo: string, asked: Promise<unknown>): Promise<void> {
    const { deps, closed } = this.#run
    await asked.catch((error: unknown) => noteRefusal(deps, closed, repo, error))
  }

  async #mustWait(): Promise<boolean> {
    const { clock, catalog } = this.#run.deps
    const age = clock.now() - this.#pauseAskedAtMs
    if (age < 0 || age >= PAUSE_ASKED_EVERY_MS) {
      this.#pauseAskedAtMs = clock.now()
      this.#isPaused = await catalog.isPaused()
    }
    return this.#isPaused
  }

  async #complete(done: readonly CompletedJob[]): Promise<readonly void[]> {
    const { deps } = this.#run
    const { complete, events } = await deps.catalog.completeJobs(done, nowIso(deps))
    announce(deps, events)
    if (complete.length > 0) this.#run.mayBeComplete = true
    return done.map(() => undefined)
  }
}
