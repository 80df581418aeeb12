import { createHmac } from 'node:crypto'
import type { HubContext, HubRequest } from './request.ts'

/** A URL on the CDN origin that is good for the configured time, in the shape the Hub redirects to. */
export function signedUrl(context: HubContext, path: string): string {
  const expires = Math.floor(context.options.now() / 1000) + context.options.linkLifeSeconds
  const query = new URLSearchParams({
    'X-Xet-Cas-Uid': 'public',
    'response-content-disposition': 'attachment',
    Expires: String(expires),
    Signature: signature(context, path, expires),
    'Key-Pair-Id': 'KSIMULATED',
  })
  return `${context.cdnUrl}${path}?${query.toString()}`
}

/** False when the signature is wrong or the link's time is over (or a fault says so). */
export function hasValidSignature(context: HubContext, request: HubRequest): boolean {
  const expires = Number(request.query.get('Expires'))
  if (request.query.get('Signature') !== signature(context, request.rawPath, expires)) return false
  return request.fault.expireLink !== true && context.options.now() / 1000 < expires
}

function signature(context: HubContext, path: string, expires: number): string {
  return createHmac('sha256', `cdn ${context.options.seed}`).update(`${path} ${expires}`).digest('hex')
}
