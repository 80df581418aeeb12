import type { IncomingMessage, ServerResponse } from 'node:http'
import { ArchiveError } from '../domain/errors.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { SECURITY_HEADERS, sendRefusal } from '../lib/http-refusal.ts'
import { startHttpService, type HttpService, type HttpServiceOptions } from '../lib/http-service.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import type { Log } from '../log-port.ts'
import { createApi, otherAddress } from './api-routes.ts'
import { ArchiveView, type ReadableArchive } from './archive-view.ts'
import { fileTargetOf, FoundFiles, serveFile, type FileDeps, type FileTarget } from './file-routes.ts'
import { HotAnswers, sendAnswer } from './hot-answers.ts'
import { HeldBytes } from './held-bytes.ts'
import { MissingFiles, type FetchFile } from './missing-files.ts'
import { MirrorError, notNow } from './mirror-error.ts'
import { OllamaDoor } from './ollama-door.ts'
import { OtherName } from './open-snapshot.ts'
import { RepoList } from './repo-list.ts'
import { parseTarget } from './request-target.ts'
import { sendFile } from './send-file.ts'

export interface MirrorOptions extends Pick<
  HttpServiceOptions,
  'host' | 'port' | 'token' | 'names' | 'log' | 'graceMs'
> {
  readonly archive: ReadableArchive
  /** Fetches files that are listed and not held; undefined where the mirror only gives what there is. */
  readonly fetchFile?: FetchFile | undefined
  readonly signal: AbortSignal
}

/**
 * Serves the archive as a read-only Hub, until the signal aborts or it is disposed.
 * @throws ArchiveError ADDRESS_UNUSABLE, CONFIG_INVALID
 */
export async function startMirror(options: MirrorOptions): Promise<HttpService> {
  const { archive, signal, log } = options
  const view = new ArchiveView(archive)
  const held = new HeldBytes(archive, view, signal)
  const door = new OllamaDoor(held)
  const missing = options.fetchFile && new MissingFiles(options.fetchFile, archive, signal)
  const deps: FileDeps = { view, held, door, missing, found: new FoundFiles(), pool: new BufferPool() }
  const hot = new HotAnswers()
  const api = createApi({ archive, view, door, hot, list: new RepoList(archive, view) })
  return startHttpService({
    ...options,
    name: 'mirror',
    auth: 'service',
    intercept: (request, response, visitor) => {
      const url = request.url ?? '/'
      if (view.isFresh && isRead(request) && answerAtOnce(deps, hot, visitor, { request, response, log })) return true
      const target = fileTargetOf(parseTarget(url).segments)
      if (target === undefined) return false
      void answerFile(deps, target, visitor, { request, response, log })
      return true
    },
    fetch: (request, env) => api.fetch(request, env),
  })
}

/** Sends what is in memory and still true; false where there is more to do. */
function answerAtOnce(
  deps: FileDeps,
  hot: HotAnswers,
  visitor: Visitor,
  { request, response, log }: Exchange,
): boolean {
  const url = request.url ?? '/'
  const { version } = deps.view
  const answer = hot.get(url, visitor, version)
  if (answer !== undefined) {
    sendAnswer(request, response, visitor, answer)
    return true
  }
  const found = deps.found.get(url, visitor, version)
  const bytes = found === undefined ? undefined : deps.held.fresh(found.file)
  if (found === undefined || bytes === undefined) return false
  sendFile(request, response, { ...found.answer, bytes }, deps.pool).catch((error: unknown) => {
    refuse(error, { request, response, log })
  })
  return true
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly log: Log
}

async function answerFile(deps: FileDeps, target: FileTarget, visitor: Visitor, exchange: Exchange): Promise<void> {
  const { request } = exchange
  try {
    if (!isRead(request)) {
      throw new MirrorError(405, 'MethodNotAllowed', 'This mirror is read-only', { Allow: 'GET, HEAD' })
    }
    await deps.view.refresh()
    await serveFile(deps, target, visitor, exchange)
  } catch (error) {
    refuse(error, exchange)
  }
}

function refuse(error: unknown, { request, response, log }: Exchange): void {
  if (error instanceof MirrorError) {
    sendRefusal(request, response, error)
  } else if (error instanceof OtherName) {
    const headers = { ...SECURITY_HEADERS, Location: otherAddress(request.url ?? '/', error.ref), 'Content-Length': 0 }
    response.writeHead(307, headers)
    response.end()
  } else if (error instanceof ArchiveError) {
    sendRefusal(request, response, notNow(error, log))
  } else {
    log.error({ component: 'mirror', err: error }, 'request failed')
    sendRefusal(request, response, { status: 500, code: 'Internal', message: 'Internal error; the log says more' })
  }
}
