import type { Dispatcher } from 'undici'
import type { Clock } from '../clock-port.ts'
import type { Log } from '../log-port.ts'
import type { AddressGuard } from './address-guard.ts'
import type { ByteRoute } from './byte-route.ts'
import { type Endpoint, isEndpoint } from './endpoint.ts'
import type { QuotaGate } from './quota.ts'
import type { Target } from './url-target.ts'

/** Deadlines in milliseconds; a passed one destroys the socket. */
export interface Deadlines {
  /** Name, TCP and TLS together. */
  readonly connectMs: number
  /** From the request on the wire to the end of the headers. */
  readonly headersMs: number
  /** Between two pieces of a body, while we wait for the network. */
  readonly idleMs: number
  /** A whole API answer, waiting for a free connection included. */
  readonly answerMs: number
  /** A whole file transfer. */
  readonly transferMs: number
}

export const DEFAULT_DEADLINES: Deadlines = {
  connectMs: 15_000,
  headersMs: 30_000,
  idleMs: 30_000,
  answerMs: 180_000,
  transferMs: 6 * 3_600_000,
}

/** What every request to the Hub needs. Made once. */
export interface HubContext {
  readonly endpoint: Endpoint
  readonly token: string | undefined
  readonly userAgent: string
  readonly clock: Clock
  readonly log: Log
  readonly deadlines: Deadlines
  readonly guard: AddressGuard
  readonly quota: QuotaGate
  readonly onWaiting: (reason: string, untilMs: number) => void
  /** From 0 to below 1. */
  readonly random: () => number
  /** API and resolve requests. */
  readonly api: Pick<Dispatcher, 'dispatch'>
  /** File bytes: connections of their own, so that long transfers never hold up a poll. */
  readonly bulk: ByteRoute
  /** Small files: thousands share these connections, and wait for no large one. */
  readonly small: ByteRoute
}

/** Headers of a request: the only place that adds the token, and only for exactly the configured origin. */
export function requestHeaders(
  context: Pick<HubContext, 'endpoint' | 'token' | 'userAgent'>,
  target: Target,
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': context.userAgent, ...extra }
  if (context.token !== undefined && isEndpoint(context.endpoint, target)) {
    headers['authorization'] = `Bearer ${context.token}`
  }
  return headers
}
