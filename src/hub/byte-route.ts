import type { AddressGuard } from './address-guard.ts'
import { NotPlainError } from './bulk-connection.ts'
import { BulkPool } from './bulk-pool.ts'
import { createDispatcher, type ProxyOptions } from './http-agent.ts'
import { exchange, type ExchangeLimits, type HttpAnswer, type HttpRequest } from './http-exchange.ts'
import type { Http2Fallback } from './http2-fallback.ts'

/** Connections for the bytes of files, shared by all who are given the same route. */
export interface ByteRoute {
  /**
   * Straight from the socket where the answer is plain; what is not is asked for again by a complete HTTP client.
   * @throws TransportError, or the signal's reason
   */
  ask(request: HttpRequest, limits: ExchangeLimits, signal: AbortSignal): Promise<HttpAnswer>
  close(): Promise<void>
}

/** @param proxy what answers come through; only a complete client speaks with one */
export function openByteRoute(guard: AddressGuard, proxy: ProxyOptions | undefined, connectMs: number): ByteRoute {
  const complete = createDispatcher(guard, proxy, connectMs)
  const plain = proxy === undefined ? new BulkPool(guard, connectMs) : undefined
  return {
    ask: (request, limits, signal) => ask({ plain, complete }, request, limits, signal),
    async close() {
      await Promise.all([plain?.destroy(), complete.destroy()])
    },
  }
}

async function ask(
  { plain, complete }: { readonly plain: BulkPool | undefined; readonly complete: Http2Fallback },
  request: HttpRequest,
  limits: ExchangeLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { origin } = request.target
  if (plain?.suits(request.target) === true && !complete.speaksHttp2Only(origin)) {
    try {
      return await plain.fetch(request, limits, signal)
    } catch (thrown) {
      if (!(thrown instanceof NotPlainError) && !complete.noteRefusal(origin, thrown)) throw thrown
    }
  }
  return exchange(complete, request, limits, signal)
}
