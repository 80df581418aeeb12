/** What may be tried again: at once, after a pause, or never without a human. */
type Retry = 'now' | 'later' | 'never'

interface ErrorFacts {
  readonly exitCode: number
  readonly retry: Retry
}

/**
 * Every error a person can meet, with the exit code of a command that ends because of it. Exit codes are those of the
 * README's table; `docs/errors.md` explains each code, and a test holds the two equal. A code is never reused.
 */
export const ERROR_CODES = {
  INTERNAL: { exitCode: 1, retry: 'later' },
  REPO_UNKNOWN: { exitCode: 1, retry: 'never' },
  SNAPSHOT_UNKNOWN: { exitCode: 1, retry: 'never' },
  FILE_UNKNOWN: { exitCode: 1, retry: 'never' },
  SNAPSHOT_NOT_SEALED: { exitCode: 1, retry: 'later' },
  SERVICE_UNAVAILABLE: { exitCode: 1, retry: 'later' },
  USAGE: { exitCode: 2, retry: 'never' },
  CONFIG_INVALID: { exitCode: 3, retry: 'never' },
  CREDENTIALS_INVALID: { exitCode: 3, retry: 'never' },
  FIXITY_FAILED: { exitCode: 6, retry: 'never' },
  RECORD_INVALID: { exitCode: 6, retry: 'never' },
  HUB_UNREACHABLE: { exitCode: 8, retry: 'later' },
  HUB_RATE_LIMITED: { exitCode: 8, retry: 'later' },
  HUB_ANSWER_INVALID: { exitCode: 8, retry: 'later' },
  HUB_ANSWER_TOO_LARGE: { exitCode: 8, retry: 'later' },
  HUB_REDIRECT_REFUSED: { exitCode: 8, retry: 'later' },
  LISTING_INCOMPLETE: { exitCode: 8, retry: 'later' },
  REPO_UNAVAILABLE: { exitCode: 8, retry: 'later' },
  REPO_GATED: { exitCode: 8, retry: 'later' },
  REPO_DISABLED: { exitCode: 8, retry: 'later' },
  FILE_UNAVAILABLE: { exitCode: 8, retry: 'later' },
  LINK_EXPIRED: { exitCode: 8, retry: 'now' },
  TRANSFER_INTERRUPTED: { exitCode: 8, retry: 'now' },
  TRANSFER_STALLED: { exitCode: 8, retry: 'now' },
  TRANSFER_INVALID: { exitCode: 8, retry: 'later' },
  PARTIAL_DAMAGED: { exitCode: 8, retry: 'now' },
  DIGEST_MISMATCH: { exitCode: 8, retry: 'later' },
  CHANNEL_UNREACHABLE: { exitCode: 8, retry: 'later' },
  CHANNEL_REFUSED: { exitCode: 8, retry: 'later' },
  ARCHIVE_MISSING_MARKER: { exitCode: 9, retry: 'later' },
  ARCHIVE_FORMAT_UNKNOWN: { exitCode: 9, retry: 'never' },
  ARCHIVE_LOCKED: { exitCode: 9, retry: 'later' },
  ARCHIVE_READ_ONLY: { exitCode: 9, retry: 'later' },
  CATALOG_UNUSABLE: { exitCode: 9, retry: 'never' },
  ADDRESS_UNUSABLE: { exitCode: 9, retry: 'later' },
  DISK_FULL: { exitCode: 9, retry: 'later' },
  DISK_FAILED: { exitCode: 9, retry: 'later' },
  RESTORE_REFUSED: { exitCode: 9, retry: 'never' },
  UNSAFE_PERMISSION: { exitCode: 9, retry: 'never' },
  BUDGET_REACHED: { exitCode: 10, retry: 'later' },
  NODE_TOO_OLD: { exitCode: 78, retry: 'never' },
  INTERRUPTED: { exitCode: 130, retry: 'later' },
} as const satisfies Record<string, ErrorFacts>

export type ErrorCode = keyof typeof ERROR_CODES

/**
 * What weightvault throws on purpose. `message` says what happened, to which repo and file; `hint` says what is safe
 * and what to do. Neither these nor `details` (plain JSON) ever hold a token or a signed link.
 */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string; details?: Record<string, unknown> } = {},
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}

/** The code of anything thrown: its own for an ArchiveError, INTERNAL for a bug, INTERRUPTED for an abort. */
export function errorCodeOf(thrown: unknown): ErrorCode {
  if (thrown instanceof ArchiveError) return thrown.code
  if (thrown instanceof Error && thrown.name === 'AbortError') return 'INTERRUPTED'
  return 'INTERNAL'
}

/** Throws a plain Error (a bug, not a user's problem) when a claim the code relies on is false. */
export function invariant(claim: unknown, message: string): asserts claim {
  if (!claim) throw new Error(`invariant violated: ${message}`)
}
