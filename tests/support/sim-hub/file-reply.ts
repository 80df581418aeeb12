import type { Content } from '../content/content.ts'
import { parseRange, type ByteRange } from './byte-range.ts'
import type { Reply } from './reply.ts'
import type { HubRequest } from './request.ts'

/**
 * 200, 206 or 416 for a file: Range and If-Range as RFC 9110 has them.
 * @param etag as written into the header, with its quotes
 */
export function fileReply(request: HubRequest, content: Content, etag: string, headers: Record<string, string>): Reply {
  const common = { 'Accept-Ranges': 'bytes', ETag: etag, ...headers }
  const ifRange = request.headers['if-range']
  const isRanged = request.fault.ignoreRange !== true && (ifRange === undefined || ifRange === etag)
  const asked = parseRange(isRanged ? request.headers['range'] : undefined, content.size)
  const range = shifted(asked, request.fault.shiftRange ?? 0, content.size)
  if (range === 'unsatisfiable') {
    return { status: 416, headers: { ...common, 'Content-Range': `bytes */${content.size}` }, body: { kind: 'none' } }
  }
  if (range === 'whole') {
    return { status: 200, headers: common, body: { kind: 'content', content, start: 0, end: content.size } }
  }
  const contentRange = `bytes ${range.start}-${range.end - 1}/${content.size}`
  return {
    status: 206,
    headers: { ...common, 'Content-Range': contentRange },
    body: { kind: 'content', content, ...range },
  }
}

function shifted(range: ByteRange, by: number, size: number): ByteRange {
  if (typeof range === 'string' || by === 0) return range
  const start = Math.min(Math.max(0, range.start + by), size - 1)
  return { start, end: Math.min(Math.max(start + 1, range.end + by), size) }
}
