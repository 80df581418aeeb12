import { AddressRefusedError } from '../lib/private-address.ts'
import { errors } from './undici-parts.ts'

/**
 * What can happen to an exchange below HTTP. `unreachable`: no connection. `interrupted`: it broke. `stalled`: a deadline
 * of ours passed. `malformed`: not HTTP. `certificate`: no TLS, or none with a certificate we trust. `address`: the guard refused it.
 * `closed`: the source was closed. `exhausted`: this process may open no more files, and a connection is one.
 */
export type TransportFailure =
  | 'unreachable'
  | 'interrupted'
  | 'stalled'
  | 'malformed'
  | 'certificate'
  | 'address'
  | 'closed'
  | 'exhausted'

/** An exchange that failed below HTTP. The message names no address. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly failure: TransportFailure

  constructor(failure: TransportFailure, message: string, cause?: unknown) {
    super(message, { cause })
    this.failure = failure
  }
}

const INTERRUPTED = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
])
const CERTIFICATE = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/

/**
 * Names what undici or the socket threw.
 * @param hasHeaders whether the headers of the answer were complete when it happened
 */
export function toTransportError(thrown: unknown, hasHeaders: boolean): TransportError {
  if (thrown instanceof TransportError) return thrown
  if (thrown instanceof AddressRefusedError) return new TransportError('address', thrown.message, thrown)
  const code = codeOf(thrown)
  // While headers are read, undici calls every refusal of its parser a wrong length once it has seen a length.
  const isLength = thrown instanceof errors.ResponseContentLengthMismatchError
  const isParser = thrown instanceof errors.HTTPParserError || thrown instanceof errors.HeadersOverflowError
  if (isParser || (isLength && !hasHeaders)) {
    // Without its cause: undici's error holds a piece of the answer, perhaps a signed link.
    return new TransportError('malformed', `the answer is not valid HTTP (${code})`)
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return new TransportError('closed', 'the connections were closed', thrown)
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new TransportError('exhausted', `too many files are open (${code})`, thrown)
  }
  if (CERTIFICATE.test(code)) return new TransportError('certificate', `no trusted TLS connection (${code})`, thrown)
  if (INTERRUPTED.has(code)) return new TransportError('interrupted', `the connection broke (${code})`, thrown)
  return new TransportError('unreachable', `no connection (${code})`, thrown)
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown'
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  return code ?? (thrown.cause === undefined ? thrown.name : codeOf(thrown.cause))
}
