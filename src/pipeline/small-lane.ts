import type { Digests } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { ContentSource } from '../hub-port.ts'
import type { SmallContent, SmallIntake, StoredSmall } from '../intake-port.ts'
import { Gather } from '../lib/gather.ts'
import type { CompletedJob, Job } from '../work-rows.ts'
import { announce, nowIso } from './deps.ts'
import { limitsOf, measureRoom, takeRoom } from './disk-room.ts'
import { leaseBasics, type JobRun } from './job-run.ts'
import { giveBack, settleFailure } from './settle-failure.ts'
import { SmallFetcher } from './small-fetch.ts'
import { refusalOf, trySources } from './try-sources.ts'
import { attest, digestOfHeld, hasMadeWay, setAside } from './verify-blob.ts'

/** Contents on their way at the same time: as many as the hub has connections to one origin. */
const PARALLEL_REQUESTS = 16
/** Leased at once and not settled: enough that shared fsyncs and a shared transaction serve many. */
const MAX_ACTIVE = 1152
/** More are leased when so few are left. */
const LOW_WATER = 576
const STORE_TOGETHER = { maxItems: 48, withinMs: 10 }
/** So much memory waits for no others: requests may be waiting for it. */
const STORE_FROM_BYTES = 1024 * 1024
/** A transaction costs an fsync of the catalog, and nobody waits for one file of many. */
const COMPLETE_TOGETHER = { maxItems: 576, withinMs: 40 }

/** A content whose bytes are here. */
interface Arrived {
  readonly job: Job
  readonly source: ContentSource
  readonly content: SmallContent
}

/** A content that is published. */
interface Done extends CompletedJob {
  readonly job: Job
  /** Where its bytes came from; undefined when they were there already. */
  readonly source: ContentSource | undefined
}

/** A source that did not bring a content, and why. */
interface Failed {
  readonly source: ContentSource
  readonly error: unknown
}

/**
 * Small contents: thousands of them share a few connections, and each step that costs the same for one and for many (a
 * lease, an fsync of a folder, a transaction) is taken for all that wait for it. Of one that waits nothing is held but
 * its job: what hundreds hold for long is what the garbage collector has to look through again and again.
 */
export class SmallLane implements AsyncDisposable {
  readonly #run: JobRun
  readonly #intake: SmallIntake
  readonly #fetcher: SmallFetcher
  readonly #arrived = new Gather<Arrived>(STORE_TOGETHER, (arrived) => void this.#store(arrived))
  #arrivedBytes = 0
  readonly #completed = new Gather<Done>(COMPLETE_TOGETHER, (done) => void this.#complete(done))
  /** Leased and not begun. */
  readonly #queued: Job[] = []
  /** Begun and not settled. */
  #begun = 0
  /** Requests that are made one after another. */
  #fetching = 0
  /** The last lease gave all there was. */
  #isDry = false
  #onIdle: (() => void)[] = []

  constructor(run: JobRun) {
    this.#run = run
    this.#intake = run.deps.blobs.openIntake()
    this.#fetcher = new SmallFetcher(run, this.#intake)
  }

  /** Jobs that are leased and not settled. */
  get active(): number {
    return this.#queued.length + this.#begun
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
    this.#intake.expect(jobs.length)
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
    while (this.active > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle()
    await this.#intake[Symbol.asyncDispose]()
  }

  #begin(): void {
    while (this.#fetching < PARALLEL_REQUESTS && this.#queued.length > 0) {
      this.#fetching += 1
      void this.#fetchInTurn()
    }
  }

  async #fetchInTurn(): Promise<void> {
    for (let job = this.#next(); job !== undefined; job = this.#next()) await this.#work(job)
    this.#fetching -= 1
    this.#handOnIfLast()
  }

  /** When nothing may begin any more, all that waits is given back. */
  #next(): Job | undefined {
    const { signal, result } = this.#run
    if (signal.aborted || result.stoppedBy !== undefined) {
      const jobs = this.#queued.splice(0)
      this.#begun += jobs.length
      if (jobs.length > 0) void giveBack(this.#run, jobs).then(() => this.#settled(jobs))
      return undefined
    }
    const job = this.#queued.shift()
    if (job !== undefined) this.#begun += 1
    return job
  }

  /** Nobody waits for others that cannot come. */
  #handOnIfLast(): void {
    if (this.#fetching === 0) this.#arrived.flush()
    if (this.#completed.size === this.#begun) this.#completed.flush()
  }

  #settled(jobs: readonly Job[]): void {
    for (const { key } of jobs) this.#run.running.delete(key)
    this.#begun -= jobs.length
    if (this.active === 0 || (!this.#isDry && this.active <= LOW_WATER)) this.#run.changes.wake()
    if (this.active === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  async #failed(job: Job, error: unknown): Promise<void> {
    await settleFailure(this.#run, job, error)
    this.#settled([job])
    this.#handOnIfLast()
  }

  /** Gets the bytes into memory; the rest of their way they go together with others. */
  async #work(job: Job): Promise<void> {
    const { deps, closed, signal } = this.#run
    const [source] = job.sources
    try {
      const held = await digestOfHeld(deps, job, signal)
      if (held !== undefined) return await this.#published(job, held, undefined)
    } catch (error) {
      return this.#failed(job, error)
    }
    if (source === undefined || refusalOf(deps, source, closed) !== undefined) return this.#bring(job, undefined)
    try {
      const content = await this.#fetcher.fetch(job, source)
      this.#arrivedBytes += job.size
      this.#arrived.add({ job, source, content })
      if (this.#arrivedBytes >= STORE_FROM_BYTES) this.#arrived.flush()
    } catch (error) {
      await this.#bring(job, { source, error })
    }
  }

  async #store(arrived: readonly Arrived[]): Promise<void> {
    this.#arrivedBytes = 0
    const results = await this.#intake
      .store(arrived.map(({ content }) => content))
      .catch((error: Error) => arrived.map(() => error))
    await Promise.all(
      arrived.map(async ({ job, source }, at) => {
        try {
          await this.#published(job, await this.#accepted(job, source, results[at]), source)
        } catch (error) {
          await this.#bringAfter(job, { source, error })
        }
      }),
    )
  }

  /** Digests of what was stored. @throws what the disk said; DIGEST_MISMATCH, and the bytes are set aside */
  async #accepted(job: Job, source: ContentSource, stored: StoredSmall | Error | undefined): Promise<Digests> {
    const { deps, signal } = this.#run
    invariant(stored !== undefined, 'each content that is stored has a result')
    if (!(stored instanceof Error) && stored.isPublished) return stored.digests
    deps.progress.ended(source)
    throw stored instanceof Error ? stored : await setAside(deps, job, stored, source, signal)
  }

  /** The memory of what the disk did not take is free again: where that was for another blob's name, it comes once more. */
  async #bringAfter(job: Job, failed: Failed): Promise<void> {
    const { deps, signal } = this.#run
    try {
      const isFree = await hasMadeWay(deps, job, failed.error, signal)
      await this.#bring(job, isFree ? undefined : failed)
    } catch (error) {
      await this.#failed(job, error)
    }
  }

  /** Asks one source after another, for a content whose first source failed or is not to be asked. */
  async #bring(job: Job, failed: Failed | undefined): Promise<void> {
    const { deps, closed, signal } = this.#run
    try {
      const { digests, from } = await trySources(deps, job, closed, signal, async (source) => {
        if (source === failed?.source) throw failed.error
        const [stored] = await this.#intake.store([await this.#fetcher.fetch(job, source)])
        return { digests: await this.#accepted(job, source, stored), from: source }
      })
      await this.#published(job, digests, from)
    } catch (error) {
      await this.#failed(job, error)
    }
  }

  async #published(job: Job, digests: Digests, source: ContentSource | undefined): Promise<void> {
    const attestedBy = await attest(this.#run.deps, job, digests)
    this.#completed.add({ jobId: job.jobId, digests, attestedBy, job, source })
    this.#handOnIfLast()
  }

  async #complete(done: readonly Done[]): Promise<void> {
    const { deps, result } = this.#run
    const jobs = done.map(({ job }) => job)
    try {
      const { complete, events } = await deps.catalog.completeJobs(done, nowIso(deps))
      announce(deps, events)
      if (complete.length > 0) this.#run.mayBeComplete = true
      for (const { job, source } of done) {
        if (source === undefined) continue
        result.fetchedFiles += 1
        result.fetchedBytes += job.size
        deps.progress.finished(source, job.size)
      }
    } catch (error) {
      for (const job of jobs) await settleFailure(this.#run, job, error)
    }
    this.#settled(jobs)
  }
}
