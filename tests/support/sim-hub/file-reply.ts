import type { Content } from '../content/content.ts'
import { parseRange } from './byte-range.ts'
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
  const range = parseRange(isRanged ? request.headers['range'] : undefined, content.size)
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
