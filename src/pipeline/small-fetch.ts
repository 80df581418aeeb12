import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { ContentSource } from '../hub-port.ts'
import type { SmallContent, SmallIntake } from '../intake-port.ts'
import type { Job } from '../work-rows.ts'
import type { JobRun } from './job-run.ts'
import { HeldBack } from './transfer-ranges.ts'
import { noteRefusal } from './try-sources.ts'

/** How long the answer to "is the queue paused?" counts. */
const PAUSE_ASKED_EVERY_MS = 1000

/** Brings small contents into memory, each by one request. */
export class SmallFetcher {
  readonly #run: JobRun
  readonly #intake: SmallIntake
  /** When the first file of each repository was answered in this run; undefined once it was. */
  readonly #firstOf = new Map<string, Promise<void> | undefined>()
  #pauseAskedAtMs = Number.NEGATIVE_INFINITY
  #isPaused = false

  constructor(run: JobRun, intake: SmallIntake) {
    this.#run = run
    this.#intake = intake
  }

  /** @throws what the Hub or the run refuses; the memory is given back then */
  async fetch(job: Job, source: ContentSource): Promise<SmallContent> {
    const content = await this.#intake.take(job.key, job.size, this.#run.signal)
    try {
      await this.#fill(job, source, content)
      return content
    } catch (error) {
      content[Symbol.dispose]()
      this.#run.deps.progress.ended(source)
      throw error
    }
  }

  async #fill(job: Job, source: ContentSource, content: SmallContent): Promise<void> {
    const { deps, signal } = this.#run
    signal.throwIfAborted()
    // What stopped the run stops what has not begun: the disk would refuse each of hundreds.
    if (this.#run.result.stoppedBy !== undefined) throw this.#run.result.stoppedBy
    if (await this.#mustWait()) throw new HeldBack('the queue was paused')
    await this.#run.bucket.take(job.size, signal)
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
    const isFirst = !this.#firstOf.has(repo)
    const first = this.#firstOf.get(repo)
    if (first !== undefined) {
      await first
      const closure = closed.get(repo)
      if (closure !== undefined && deps.clock.now() < closure.untilMs) throw closure.refusal
    }
    deps.progress.started(source, job.size, 0)
    const asked = deps.hub.fetchSmall(source, content.bytes, signal)
    if (isFirst) this.#firstOf.set(repo, this.#closeIfRefused(repo, asked))
    return asked
  }

  async #closeIfRefused(repo: string, asked: Promise<unknown>): Promise<void> {
    const { deps, closed } = this.#run
    await asked.catch((error: unknown) => noteRefusal(deps, closed, repo, error))
    this.#firstOf.set(repo, undefined)
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
}
