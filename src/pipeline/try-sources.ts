import { backOffMs, latestPauseEndMs } from '../domain/back-off.ts'
import { ArchiveError, ERROR_CODES, type ErrorCode } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import type { ContentSource } from '../hub-port.ts'
import type { Job } from '../work-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

/** Refusals of a whole repository: its other files would be refused alike. */
const REPO_REFUSALS: readonly ErrorCode[] = ['REPO_GATED', 'REPO_DISABLED', 'REPO_UNAVAILABLE']

/** A repository's refusal, believed until this time. */
export interface Closure {
  readonly refusal: ArchiveError
  readonly untilMs: number
}

/** How long the refusal of one file stands for the repository's other files. */
const CLOSED_MS = 5 * 60_000

/**
 * Asks the sources of a content in their order until one brings it. One that served other bytes than promised is demoted
 * for this content, with an event, and the next one is asked at once: another repository may have the right ones.
 * @throws ArchiveError the failure of the last source; what is no source's fault (the disk, a pause, a bug) at once
 */
export async function trySources<T>(
  deps: PipelineDeps,
  job: Job,
  closed: Map<string, Closure>,
  signal: AbortSignal,
  bring: (source: ContentSource) => Promise<T>,
): Promise<T> {
  let failure: Error | undefined
  const demoted = new Set<number>()
  for (const source of job.sources) {
    const refusal = refusalOf(deps, source, closed) ?? (demoted.has(source.repoId) ? failure : undefined)
    if (refusal !== undefined) {
      failure = refusal
      continue
    }
    try {
      return await bring(source)
    } catch (error) {
      signal.throwIfAborted()
      if (!isOfSource(error)) throw error
      failure = error
      if (error.code === 'DIGEST_MISMATCH') {
        demoted.add(source.repoId)
        await demote(deps, job, source, error)
      }
      noteRefusal(deps, closed, printRepo(source.ref), error)
      const fields = { component: 'download', repo: printRepo(source.ref), path: displayName(source.path) }
      deps.log.debug({ ...fields, code: error.code, err: error }, 'source failed')
    }
  }
  if (failure !== undefined) throw failure
  throw new ArchiveError('FILE_UNAVAILABLE', `no repository lists the bytes ${job.key} any more`, {
    hint: 'it is tried again later; another repository may come to list them',
  })
}

/** What another source may do better. A disk that fails would fail for every source. */
function isOfSource(error: unknown): error is ArchiveError {
  if (!(error instanceof ArchiveError)) return false
  return ERROR_CODES[error.code].exitCode === 8 || error.code === 'SNAPSHOT_UNKNOWN'
}

/** Remembers for a while that a repository as a whole refused. */
export function noteRefusal(
  deps: Pick<PipelineDeps, 'clock'>,
  closed: Map<string, Closure>,
  repo: string,
  error: unknown,
): void {
  if (!(error instanceof ArchiveError) || !REPO_REFUSALS.includes(error.code)) return
  closed.set(repo, { refusal: error, untilMs: deps.clock.now() + CLOSED_MS })
}

/** Why a source need not be asked now. */
export function refusalOf(
  deps: PipelineDeps,
  source: ContentSource,
  closed: ReadonlyMap<string, Closure>,
): ArchiveError | undefined {
  const nowMs = deps.clock.now()
  const closure = closed.get(printRepo(source.ref))
  if (closure !== undefined && nowMs < closure.untilMs) return closure.refusal
  if (nowMs >= source.notBeforeMs || source.notBeforeMs > latestPauseEndMs(nowMs)) return undefined
  const name = `${displayName(source.path)} of ${printRepo(source.ref)}`
  const until = new Date(source.notBeforeMs).toISOString()
  const often = source.faults === 1 ? 'once' : `${source.faults} times`
  return new ArchiveError('DIGEST_MISMATCH', `${name} was served damaged ${often}; asked again ${until}`, {
    hint: 'nothing was fetched; the wrong bytes are in quarantine, other sources are asked first',
  })
}

async function demote(deps: PipelineDeps, job: Job, source: ContentSource, error: ArchiveError): Promise<void> {
  const faults = source.faults + 1
  const notBeforeMs = deps.clock.now() + backOffMs('DIGEST_MISMATCH', faults, Math.random())
  const event = {
    type: 'upstream-damaged',
    severity: 'warning',
    repo: source.ref,
    at: nowIso(deps),
    before: null,
    after: 'DIGEST_MISMATCH',
    detail: {
      path: source.path,
      commit: source.commit,
      message: error.message,
      ...error.details,
      faults,
      notBefore: new Date(notBeforeMs).toISOString(),
    },
  } as const
  announce(deps, await deps.catalog.demoteSource(job.key, source.repoId, notBeforeMs, [event]))
}
