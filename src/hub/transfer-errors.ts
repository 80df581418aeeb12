import { ArchiveError, type ErrorCode } from '../domain/errors.ts'
import { isEndpoint } from './endpoint.ts'
import { readBeginning } from './http-body.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { headerText, parseRetryAfter, parseUnsatisfiedRange } from './http-headers.ts'
import type { HubContext } from './hub-context.ts'
import { readRefusal, transportArchiveError } from './hub-errors.ts'
import { fileRefusal } from './resolve-file.ts'
import type { TransportError } from './transport-error.ts'
import { type Target, targetHost } from './url-target.ts'

const MAX_ERROR_BYTES = 16 * 1024
/** How storage behind signed links says that a link is no longer good. */
const SIGNATURE_WORDS = /signature|expired|accessdenied|access denied|invalid ?token|authenticationfailed|key-pair-id/i
const HINT = 'What arrived is kept only after it is verified. It will be tried again.'

/**
 * What an answer without file bytes means for the transfer of `what`. Reads the beginning of its body.
 * HUB_UNREACHABLE has `status` and, where the server named one, `retryAfterMs` in its details.
 */
export async function transferRefusal(
  context: Pick<HubContext, 'endpoint' | 'clock'>,
  what: string,
  answer: HttpAnswer,
  target: Target,
): Promise<ArchiveError> {
  const { status, headers } = answer
  const body = await readBeginning(answer, MAX_ERROR_BYTES)
  const host = targetHost(target)
  const isHub = isEndpoint(context.endpoint, target)
  const speaksOfSignature = SIGNATURE_WORDS.test(body.toString('latin1'))
  if (status === 416) {
    const totalSize = parseUnsatisfiedRange(headerText(headers, 'content-range'))
    return transferFailure('TRANSFER_INVALID', what, `${host} has no such bytes (status 416)`, { totalSize })
  }
  if (status === 404 || status === 410) {
    const reason = `${host} does not have it (status ${status})`
    return transferFailure('FILE_UNAVAILABLE', what, reason, { host, status })
  }
  if ((status === 403 && !isHub) || ([400, 401, 403].includes(status) && speaksOfSignature)) {
    const reason = `${host} no longer accepts the link (status ${status})`
    return transferFailure('LINK_EXPIRED', what, reason, { host, status })
  }
  if (status === 429 || status === 408 || status >= 500) {
    const retryAfterMs = parseRetryAfter(headerText(headers, 'retry-after'), context.clock.now())
    const reason = `${host} cannot serve it now (status ${status})`
    return transferFailure('HUB_UNREACHABLE', what, reason, { host, status, retryAfterMs })
  }
  if (isHub && (status === 401 || status === 403)) return fileRefusal(readRefusal(status, headers, body), what)
  return transferFailure('TRANSFER_INVALID', what, `${host} answered with status ${status}`, { host, status })
}

/** The error of a transfer of `what` that failed below HTTP. */
export function transferError(error: TransportError, what: string, target: Target): ArchiveError {
  const host = targetHost(target)
  const codes = {
    interrupted: 'TRANSFER_INTERRUPTED',
    stalled: 'TRANSFER_STALLED',
    malformed: 'TRANSFER_INVALID',
  } as const
  const { failure } = error
  if (failure !== 'interrupted' && failure !== 'stalled' && failure !== 'malformed') {
    return transportArchiveError(error, what, host)
  }
  return new ArchiveError(codes[failure], `the transfer of ${what} from ${host} failed: ${error.message}`, {
    cause: error,
    hint: HINT,
    details: { host, failure },
  })
}

/** A transfer of `what` that did not happen. `reason` names no address but a host. */
export function transferFailure(
  code: ErrorCode,
  what: string,
  reason: string,
  details: Record<string, unknown>,
): ArchiveError {
  return new ArchiveError(code, `could not download ${what}: ${reason}`, { hint: HINT, details })
}
