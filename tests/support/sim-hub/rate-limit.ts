/** Fixed-window quotas per caller and bucket, as the Hub documents them. */
import type { Options } from './options.ts'
import type { Caller } from './request.ts'

export type Bucket = 'api' | 'resolvers' | 'pages'

export interface RateLimiter {
  /** Charges one request. @returns whether it is still within the quota */
  charge(caller: Caller, bucket: Bucket): boolean
  /** The two headers for a reply to this caller. */
  headers(caller: Caller, bucket: Bucket): Record<string, string>
}

const ANONYMOUS_QUOTAS = { api: 500, resolvers: 3000, pages: 100 }
const USER_QUOTAS = { api: 1000, resolvers: 5000, pages: 200 }

/**
 * The quota a path is charged to. resolve-cache is free: the site's front cache answers it, and the first hop has been
 * charged already.
 */
export function bucketOf(rawPath: string): Bucket | undefined {
  if (rawPath.startsWith('/api/resolve-cache/')) return undefined
  if (rawPath.startsWith('/api/')) return 'api'
  return rawPath.includes('/resolve/') ? 'resolvers' : 'pages'
}

/** Counts per caller; anonymous callers share one count, as one IP address does. Reads quotas and clock anew each time. */
export function createRateLimiter(options: Pick<Options, 'quotas' | 'now'>): RateLimiter {
  const used = new Map<string, { window: number; count: number }>()
  const windowSeconds = () => options.quotas.windowSeconds ?? 300
  const currentWindow = () => Math.floor(options.now() / 1000 / windowSeconds())
  const quota = (caller: Caller, bucket: Bucket) => {
    const given = bucket === 'pages' ? undefined : options.quotas[bucket]
    return given ?? (caller.kind === 'user' ? USER_QUOTAS : ANONYMOUS_QUOTAS)[bucket]
  }
  const keyOf = (caller: Caller, bucket: Bucket) => `${bucket} ${caller.kind === 'user' ? caller.token : ''}`
  const countOf = (caller: Caller, bucket: Bucket) => {
    const seen = used.get(keyOf(caller, bucket))
    return seen !== undefined && seen.window === currentWindow() ? seen.count : 0
  }
  return {
    charge(caller, bucket) {
      const count = countOf(caller, bucket) + 1
      used.set(keyOf(caller, bucket), { window: currentWindow(), count })
      return count <= quota(caller, bucket)
    },
    headers(caller, bucket) {
      const limit = quota(caller, bucket)
      const remaining = Math.max(0, limit - countOf(caller, bucket))
      const end = (currentWindow() + 1) * windowSeconds()
      const seconds = Math.max(1, Math.ceil(end - options.now() / 1000))
      return {
        RateLimit: `"${bucket}";r=${remaining};t=${seconds}`,
        'RateLimit-Policy': `"fixed window";"${bucket}";q=${limit};w=${windowSeconds()}`,
      }
    },
  }
}
