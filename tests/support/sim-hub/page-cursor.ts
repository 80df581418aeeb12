/** Opaque cursors and the Link header that carries them. */
import type { HubContext, HubRequest } from './request.ts'

interface Cursor {
  /** Rows already passed. */
  offset: number
  /** Number of the page it leads to, from 1. */
  page: number
}

/** Where a request stands in a listing; the first page when the cursor is absent or broken. */
export function cursorOf(request: HubRequest): Cursor {
  const text = request.query.get('cursor')
  if (text === null) return { offset: 0, page: 1 }
  const match = /^(\d+):(\d+)$/.exec(Buffer.from(text, 'base64').toString('latin1'))
  if (match === null) return { offset: 0, page: 1 }
  return { offset: Number(match[1]), page: Number(match[2]) }
}

/**
 * Cuts one page. The Link is absolute, with a blank before `rel`, because the JavaScript client insists on both.
 */
export function pageOf<T>(context: HubContext, request: HubRequest, rows: readonly T[], size: number) {
  const { offset, page } = cursorOf(request)
  const slip = page === 1 ? 0 : (request.fault.shiftRows ?? 0) - (request.fault.doubleRows ?? 0)
  const start = Math.max(0, offset + slip)
  const items = rows.slice(start, start + size)
  const next = start + size
  if (next >= rows.length) return { items, page, headers: {} }
  const query = new URLSearchParams(request.query)
  query.set('cursor', Buffer.from(`${next}:${page + 1}`).toString('base64'))
  return { items, page, headers: { Link: `<${context.url}${request.rawPath}?${query.toString()}>; rel="next"` } }
}
