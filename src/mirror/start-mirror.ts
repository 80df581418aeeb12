import type { IncomingMessage, ServerResponse } from 'node:http'
import { ArchiveError } from '../domain/errors.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { sendRefusal } from '../lib/http-refusal.ts'
import { startHttpService, type HttpService, type HttpServiceOptions } from '../lib/http-service.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import type { Log } from '../ports.ts'
import { createApi, otherAddress } from './api-routes.ts'
import { ArchiveView, type ReadableArchive } from './archive-view.ts'
import { fileTargetOf, serveFile, type FileDeps, type FileTarget } from './file-routes.ts'
import { HeldBytes } from './held-bytes.ts'
import { MirrorError, notNow } from './mirror-error.ts'
import { OllamaDoor } from './ollama-door.ts'
import { OtherName } from './open-snapshot.ts'
import { RepoList } from './repo-list.ts'
import { parseTarget } from './request-target.ts'

export interface MirrorOptions extends Pick<
  HttpServiceOptions,
  'host' | 'port' | 'token' | 'names' | 'log' | 'graceMs'
> {
  readonly archive: ReadableArchive
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
  const deps: FileDeps = { view, held, door, pool: new BufferPool() }
  const api = createApi({ archive, view, door, list: new RepoList(archive, view) })
  return startHttpService({
    ...options,
    name: 'mirror',
    auth: 'service',
    intercept: (request, response, visitor) => {
      const target = fileTargetOf(parseTarget(request.url ?? '/').segments)
      if (target === undefined) return false
      answerFile(deps, target, visitor, { request, response, log }).catch((error: unknown) => {
        log.error({ component: 'mirror', err: error }, 'request failed')
        sendRefusal(request, response, { status: 500, code: 'Internal', message: 'Internal error' })
      })
      return true
    },
    fetch: (request, env) => api.fetch(request, env),
  })
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly log: Log
}

async function answerFile(deps: FileDeps, target: FileTarget, visitor: Visitor, exchange: Exchange): Promise<void> {
  const { request, response, log } = exchange
  try {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new MirrorError(405, 'MethodNotAllowed', 'This mirror is read-only', { Allow: 'GET, HEAD' })
    }
    await deps.view.refresh()
    await serveFile(deps, target, visitor, exchange)
  } catch (error) {
    if (error instanceof MirrorError) {
      sendRefusal(request, response, error)
    } else if (error instanceof OtherName) {
      response.writeHead(307, { Location: otherAddress(request.url ?? '/', error.ref), 'Content-Length': 0 })
      response.end()
    } else if (error instanceof ArchiveError) {
      sendRefusal(request, response, notNow(error, log))
    } else {
      throw error
    }
  }
}
