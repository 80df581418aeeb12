import { gzipSync } from 'node:zlib'
import type { Fault, Faults } from './fault-types.ts'
import { copyJson } from './json-text.ts'
import { errorReply, redirectReply, textReply, type Reply } from './reply.ts'
import type { SeenRequest } from './types.ts'

interface Armed {
  readonly fault: Fault
  /** Requests that matched, whether or not `nth` had come. */
  seen: number
  hits: number
}

/** The faults of one hub, and the function that combines those which meet a request. */
export function createFaults(): { faults: Faults; faultFor: (request: SeenRequest) => Fault } {
  const armed = new Set<Armed>()
  const faults: Faults = {
    add(fault) {
      const one: Armed = { fault, seen: 0, hits: 0 }
      armed.add(one)
      return {
        remove: () => void armed.delete(one),
        get hits() {
          return one.hits
        },
      }
    },
    clear: () => armed.clear(),
  }
  const faultFor = (request: SeenRequest) => {
    const combined: Fault = {}
    for (const one of armed) {
      if (!matches(one.fault, request)) continue
      one.seen++
      const first = one.fault.nth ?? 1
      if (one.seen < first || one.hits >= (one.fault.times ?? Infinity)) continue
      one.hits++
      Object.assign(combined, one.fault)
    }
    return combined
  }
  return { faults, faultFor }
}

function matches(fault: Fault, request: SeenRequest): boolean {
  if (fault.origin !== undefined && fault.origin !== request.origin) return false
  if (fault.method !== undefined && fault.method !== request.method) return false
  if (fault.header !== undefined) {
    const value = request.headers[fault.header.name.toLowerCase()]
    if (value === undefined || !fault.header.value.test(value)) return false
  }
  return (
    fault.path === undefined || new RegExp(fault.path.source, fault.path.flags.replace(/[gy]/g, '')).test(request.path)
  )
}

/** The answer that a fault puts in place of the real one, if it does. */
export function replacedReply(
  fault: Fault,
  target: { url: string; rateLimit: Record<string, string> },
): Reply | undefined {
  if (fault.status !== undefined) {
    const bytes = Buffer.from(fault.body ?? '')
    return { status: fault.status, headers: fault.headers ?? {}, body: { kind: 'bytes', bytes } }
  }
  if (fault.redirectTo !== undefined) return redirectReply(302, fault.redirectTo, fault.headers)
  if (fault.redirectLoop === true) return redirectReply(302, target.url, fault.headers)
  if (fault.nonJson === true) {
    return textReply(200, '<!doctype html><title>Just a moment</title>', { 'Content-Type': 'text/html; charset=utf-8' })
  }
  return fault.tooManyRequests === undefined ? undefined : tooManyRequests(fault, target.rateLimit)
}

function tooManyRequests(fault: Fault, rateLimit: Record<string, string>): Reply {
  const reply = errorReply(429, 'We had to rate limit you. Please retry later.')
  const spent = (rateLimit['RateLimit'] ?? '').replace(/r=\d+/, 'r=0')
  if (fault.tooManyRequests === 'ratelimit') reply.headers['RateLimit'] = spent
  else Object.assign(reply.headers, { RateLimit: '', 'RateLimit-Policy': '' })
  if (fault.tooManyRequests === 'retry-after') reply.headers['Retry-After'] = fault.retryAfter ?? '1'
  return reply
}

/** Applies the faults that change a finished answer's status line, headers or JSON. */
export function changeReply(reply: Reply, fault: Fault, request: SeenRequest): Reply {
  const headers = { ...reply.headers }
  let { body } = reply
  if (fault.changeEtag !== undefined) headers['ETag' in headers ? 'ETag' : 'X-Linked-Etag'] = fault.changeEtag
  if (fault.wrongContentRange !== undefined) headers['Content-Range'] = fault.wrongContentRange
  if (body.kind === 'json' && fault.mutateJson !== undefined) {
    body = { kind: 'json', value: fault.mutateJson(copyJson(body.value), request) }
  }
  if (fault.gzipped !== true || body.kind === 'none' || body.kind === 'json') return { ...reply, headers, body }
  const plain = body.kind === 'bytes' ? body.bytes : body.content.read(body.start, body.end - body.start)
  headers['Content-Encoding'] = 'gzip'
  return { ...reply, headers, body: { kind: 'bytes', bytes: gzipSync(plain) }, isGzipped: true }
}
