import { EventEmitter, on as eventsOf } from 'node:events'
import { HANGS_AFTER_MS } from '../until.ts'
import { answer, type Exchange } from './exchange.ts'
import { createFaults } from './faults.ts'
import { withDefaults } from './options.ts'
import { startOrigin } from './origin-server.ts'
import { createRateLimiter } from './rate-limit.ts'
import type { HubContext } from './request.ts'
import type { SeenRequest, SimHub, SimHubOptions } from './types.ts'
import { createWorld } from './world.ts'

const MOST_RECORDED = 500_000

/**
 * Starts an empty Hub and its CDN on two ports of 127.0.0.1. Everything they say follows from the options, the calls
 * to `world` and `faults`, and the requests; disposing closes both and every connection.
 */
export async function startSimHub(given: SimHubOptions = {}): Promise<SimHub> {
  const options = withDefaults(given)
  const { world, state } = createWorld(options.seed)
  for (const [owner, count] of Object.entries(given.numModelsOverride ?? {})) world.setNumModels(owner, count)
  const { faults, faultFor } = createFaults()
  const requests: SeenRequest[] = []
  const arrivals = new EventEmitter().setMaxListeners(0)
  let recorded = 0
  let fileBytes = 0

  const exchanges = new Map<'hub' | 'cdn', Exchange>()
  const listen = (origin: 'hub' | 'cdn') =>
    startOrigin((incoming, response) => {
      const exchange = exchanges.get(origin)
      if (exchange === undefined) response.destroy()
      else void answer(exchange, incoming, response)
    })
  const hub = await listen('hub')
  const cdn = await listen('cdn')
  const context: HubContext = { state, options, url: hub.url, cdnUrl: cdn.url }
  const shared = {
    context,
    limiter: createRateLimiter(options),
    faultFor,
    record(request: SeenRequest) {
      if (requests.length < MOST_RECORDED) requests.push(request)
      arrivals.emit('request', request)
      return recorded++
    },
    onFileBytes(bytes: number) {
      fileBytes += bytes
    },
  }
  exchanges.set('hub', { origin: 'hub', ...shared })
  exchanges.set('cdn', { origin: 'cdn', ...shared })

  const stop = async () => {
    await Promise.all([hub.stop(), cdn.stop()])
  }
  return {
    url: hub.url,
    cdnUrl: cdn.url,
    world,
    faults,
    requests,
    clearRequests: () => void requests.splice(0),
    async whenRequested(matches, signal = AbortSignal.timeout(HANGS_AFTER_MS)) {
      const known = requests.find(matches)
      if (known !== undefined) return known
      for await (const [request] of eventsOf(arrivals, 'request', { signal }) as AsyncIterable<[SeenRequest]>) {
        if (matches(request)) return request
      }
      throw new Error('the hub was closed')
    },
    bytesServed: () => fileBytes,
    async setOnline(on) {
      await Promise.all([hub, cdn].map((origin) => (on ? origin.goOnline() : origin.goOffline())))
    },
    setQuotas(quotas) {
      options.quotas = quotas
    },
    [Symbol.asyncDispose]: stop,
  }
}
