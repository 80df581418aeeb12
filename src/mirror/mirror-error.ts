import type { ArchiveError } from '../domain/errors.ts'
import type { Refusal } from '../lib/http-refusal.ts'
import type { Log } from '../log-port.ts'

/** Codes that the Hub's clients know, and our own for the rest. Every answer of 400 or above has one. */
export type MirrorErrorCode =
  | 'RepoNotFound'
  | 'RevisionNotFound'
  | 'EntryNotFound'
  | 'GatedRepo'
  | 'TokenNeeded'
  | 'BadRequest'
  | 'MethodNotAllowed'
  | 'RangeNotSatisfiable'
  | 'PreconditionFailed'
  | 'Unavailable'

/** Ends a request with a refusal. The message goes to the visitor: it names nothing that the visitor may not know. */
export class MirrorError extends Error implements Refusal {
  override readonly name = 'MirrorError'
  readonly status: number
  readonly code: MirrorErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: MirrorErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** The archive cannot be read now. No 401 or 404, which clients would take for an answer about the repository. */
export function notNow(error: ArchiveError, log: Log): MirrorError {
  log.warn({ component: 'mirror', code: error.code, err: error }, 'archive not readable')
  return new MirrorError(503, 'Unavailable', 'The archive cannot be read now', { 'Retry-After': '30' })
}
