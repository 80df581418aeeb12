import type { ErrorCode } from './errors.ts'
import type { ChangeEvent } from './events.ts'
import type { RepoRef } from './repo.ts'

/**
 * Whether a failed download means that the bytes are gone from where the Hub itself sends us for them, while its tree
 * still lists them: the host with the bytes said 404 or 410. The Hub's own refusal of a file names no host.
 */
export function isPurged(code: ErrorCode, details: Readonly<Record<string, unknown>>): boolean {
  const { host, status } = details
  return code === 'FILE_UNAVAILABLE' && typeof host === 'string' && (status === 404 || status === 410)
}

/** `bytes-purged`: what is listed can no longer be downloaded. Critical where we do not have it either. */
export function purgedEvent(
  file: { readonly ref: RepoRef; readonly commit: string; readonly path: string },
  content: { readonly key: string; readonly size: number; readonly isHeld?: boolean },
  given: { readonly at: string; readonly details: Readonly<Record<string, unknown>> },
): ChangeEvent {
  const { key, size, isHeld = false } = content
  return {
    type: 'bytes-purged',
    severity: content.isHeld === true ? 'warning' : 'critical',
    repo: file.ref,
    at: given.at,
    before: file.commit,
    after: 'purged',
    detail: {
      path: file.path,
      commit: file.commit,
      content: key,
      size,
      isHeld,
      status: given.details['status'] ?? null,
    },
  }
}
