import { ArchiveError, type ErrorCode } from '../domain/errors.ts'
import { decodeObject } from '../domain/decode.ts'
import { displayName } from '../domain/file-name.ts'
import { type HeaderMap, headerText } from './http-headers.ts'
import { readJson } from './json-guard.ts'
import type { TransportError, TransportFailure } from './transport-error.ts'

const DISABLED_SENTENCE = 'Access to this resource is disabled.'
const BAD_TOKEN_SENTENCE = 'Invalid credentials in Authorization header'
const MAX_QUOTED = 300
/** The hint of whatever passes by itself. */
export const SAFE_AND_RETRIED = 'Nothing in the archive changed. It will be tried again later.'

/** An answer that is no success, as far as an error needs it. */
export interface Refusal {
  readonly status: number
  readonly errorCode: string | undefined
  /** The Hub's own words, cut and made printable. */
  readonly errorMessage: string | undefined
  /** A 401 in the Hub's own manner, even without words. */
  readonly asksForToken: boolean
}

/** Reads the Hub's reason from `X-Error-*`, else from a JSON body. */
export function readRefusal(status: number, headers: HeaderMap, body: Uint8Array): Refusal {
  const message = headerText(headers, 'x-error-message') ?? messageOfBody(body)
  return {
    status,
    errorCode: quotable(headerText(headers, 'x-error-code')),
    errorMessage: quotable(message),
    asksForToken: /^bearer\b/i.test(headerText(headers, 'www-authenticate') ?? ''),
  }
}

/**
 * What a refusal means, in the order the official client tests it. `unexplained`: the answer has neither a known code
 * nor a reason, as from something between us and the Hub, and proves nothing about a repository.
 */
export type Meaning = 'bad-token' | 'no-revision' | 'no-entry' | 'gated' | 'disabled' | 'no-repo' | 'unexplained'

export function meaningOf(refusal: Refusal): Meaning {
  const { status, errorCode, errorMessage } = refusal
  if (errorMessage?.includes(BAD_TOKEN_SENTENCE) === true && status === 401) return 'bad-token'
  if (errorCode === 'RevisionNotFound') return 'no-revision'
  if (errorCode === 'EntryNotFound') return 'no-entry'
  if (errorCode === 'GatedRepo') return 'gated'
  if (errorMessage === DISABLED_SENTENCE || status === 451) return 'disabled'
  if (errorCode === 'RepoNotFound') return 'no-repo'
  const isExplained = errorCode !== undefined || errorMessage !== undefined || refusal.asksForToken
  return isExplained && [401, 403, 404, 410].includes(status) ? 'no-repo' : 'unexplained'
}

const MEANINGS: Readonly<Record<Meaning, { code: ErrorCode; says: string; hint: string }>> = {
  'bad-token': {
    code: 'CREDENTIALS_INVALID',
    says: 'the Hub does not accept the token',
    hint: 'Nothing in the archive changed. Give a valid token in hub.token or HF_TOKEN, or none for public repositories.',
  },
  'no-revision': {
    code: 'SNAPSHOT_UNKNOWN',
    says: 'the Hub does not know the commit any more',
    hint: 'Its history may have been rewritten. What is archived stays.',
  },
  'no-entry': {
    code: 'FILE_UNAVAILABLE',
    says: 'the Hub does not have the file',
    hint: 'What is archived stays. Another repository with the same bytes will be tried.',
  },
  gated: {
    code: 'REPO_GATED',
    says: 'the repository is gated',
    hint: 'What is archived stays. Ask for access on its page and set a token that has it.',
  },
  disabled: {
    code: 'REPO_DISABLED',
    says: 'the Hub has disabled the repository',
    hint: 'What is archived stays.',
  },
  'no-repo': {
    code: 'REPO_UNAVAILABLE',
    says: 'the repository is missing, private or gone (the Hub answers the same for all three)',
    hint: 'What is archived stays. If it is private, set a token that may read it.',
  },
  unexplained: {
    code: 'HUB_ANSWER_INVALID',
    says: 'the answer does not come from a Hub as we know it',
    hint: 'Nothing in the archive changed. Check hub.endpoint and any proxy in between.',
  },
}

/** The error of a refused request for `what` ("the tree of Qwen/X at abc"). */
export function refusalError(refusal: Refusal, what: string): ArchiveError {
  const { code, says, hint } = MEANINGS[meaningOf(refusal)]
  const quoted = refusal.errorMessage === undefined ? '' : `: "${refusal.errorMessage}"`
  return new ArchiveError(code, `could not read ${what}: ${says} (status ${refusal.status}${quoted})`, {
    hint,
    details: { ...refusal },
  })
}

/** The error of an exchange with `host` that failed below HTTP. */
export function transportArchiveError(error: TransportError, what: string, host: string): ArchiveError {
  const message = `could not read ${what} from ${host}: ${error.message}`
  const details = { host, failure: error.failure }
  const { failure } = error
  if (failure === 'address') return redirectRefused(what, error.message, error)
  // The Hub is not to blame: as with the files of the archive, work pauses until there are some to be had.
  const codes = { malformed: 'HUB_ANSWER_INVALID', exhausted: 'DISK_FAILED' } as const
  const code = failure === 'malformed' || failure === 'exhausted' ? codes[failure] : 'HUB_UNREACHABLE'
  return new ArchiveError(code, message, { cause: error, details, hint: TRANSPORT_HINTS[failure] })
}

const TRANSPORT_HINTS: Readonly<Record<Exclude<TransportFailure, 'address'>, string>> = {
  unreachable:
    'Nothing in the archive changed. It will be tried again; check the network and hub.endpoint if it lasts.',
  interrupted: SAFE_AND_RETRIED,
  stalled: SAFE_AND_RETRIED,
  malformed: SAFE_AND_RETRIED,
  closed: SAFE_AND_RETRIED,
  exhausted: 'Raise the limit of open files (ulimit -n) for this service.',
  certificate:
    'Nothing was sent. Something may stand between this machine and the Hub; for a private authority set NODE_EXTRA_CA_CERTS.',
}

/** An answer that cannot be believed. */
export function answerInvalid(what: string, reason: string, cause?: unknown): ArchiveError {
  return new ArchiveError('HUB_ANSWER_INVALID', `the answer for ${what} cannot be used: ${reason}`, {
    cause,
    hint: SAFE_AND_RETRIED,
  })
}

/** An answer larger than we hold. */
export function answerTooLarge(what: string, reason: string): ArchiveError {
  return new ArchiveError('HUB_ANSWER_TOO_LARGE', `the answer for ${what} cannot be used: ${reason}`, {
    hint: SAFE_AND_RETRIED,
  })
}

/** A listing of which a part is missing, or that moved while it was read. */
export function listingIncomplete(what: string, reason: string): ArchiveError {
  return new ArchiveError('LISTING_INCOMPLETE', `${what} could not be read completely: ${reason}`, {
    hint: 'Nothing is concluded from an incomplete listing. It will be read again.',
  })
}

/** A redirect or next page that must not be followed. `reason` names no path and no query. */
export function redirectRefused(what: string, reason: string, cause?: unknown): ArchiveError {
  return new ArchiveError('HUB_REDIRECT_REFUSED', `a redirect for ${what} was not followed: ${reason}`, {
    cause,
    hint: 'The token was not sent on. If the Hub has moved, set hub.endpoint to its new address.',
  })
}

function messageOfBody(body: Uint8Array): string | undefined {
  if (body.length === 0) return undefined
  const reading = readJson(body)
  const object = reading.kind === 'value' ? decodeObject(reading.value) : undefined
  if (object === undefined) return undefined
  const error = object['error']
  if (typeof error === 'string') return error
  if (Array.isArray(error)) return error.filter((item) => typeof item === 'string').join('; ')
  const errors = object['errors']
  const first = Array.isArray(errors) ? decodeObject(errors[0])?.['message'] : undefined
  return typeof first === 'string' ? first : undefined
}

/** What someone else wrote, short, printable and without a token; undefined when nothing is left. */
export function quotable(text: string | undefined): string | undefined {
  const cut = text?.trim().slice(0, MAX_QUOTED) ?? ''
  // A Hub that quotes our token back must not bring it into a log.
  return cut === '' ? undefined : displayName(cut).replace(/hf_[A-Za-z0-9]+/g, 'hf_…')
}
