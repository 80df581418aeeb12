/**
 * Just enough of Xet for clients that prefer it: a read token, reconstructions (version 2) and uncompressed xorbs cut
 * at fixed places. The hashes are names, not Merkle hashes.
 */
import { fileReply } from './file-reply.ts'
import { parseRange } from './byte-range.ts'
import { hasValidSignature, signedUrl } from './cdn-signature.ts'
import { seededHex } from './random.ts'
import { errorReply, jsonReply, textReply, type Reply } from './reply.ts'
import type { HubContext, HubRequest } from './request.ts'
import { bytesContent, type StoredFile } from './stored-file.ts'

const XORB_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
const CHUNK_HEADER_BYTES = 8

/** `GET …/xet-read-token/{commit}`: the same facts as headers for Python and as JSON for JavaScript. */
export function xetTokenRoute(context: HubContext): Reply {
  const exp = Math.floor(context.options.now() / 1000) + 3600
  const accessToken = xetToken(context)
  return jsonReply(
    { casUrl: context.cdnUrl, accessToken, exp },
    {
      'X-Xet-Cas-Url': context.cdnUrl,
      'X-Xet-Access-Token': accessToken,
      'X-Xet-Token-Expiration': String(exp),
    },
  )
}

/** `GET /v2/reconstructions/{hash}` and `GET /xorbs/{hash}/{index}` on the CDN origin. */
export function xetRoute(context: HubContext, request: HubRequest): Reply {
  const [first, second = '', third = '', fourth = ''] = request.segments
  if (first === 'xorbs') return xorbRoute(context, request, second, Number(third))
  if (first !== 'v2' || second !== 'reconstructions') return textReply(404, 'Not found')
  if (request.headers['authorization'] !== `Bearer ${xetToken(context)}`) return errorReply(401, 'Unauthorized')
  const file = context.state.xetFiles.get(third)
  if (file === undefined || fourth !== '') return textReply(404, 'Not found')
  return reconstruction(context, request, third, file)
}

function reconstruction(context: HubContext, request: HubRequest, hash: string, file: StoredFile): Reply {
  const { size } = file.content
  const range = parseRange(request.headers['range'], size)
  if (range === 'unsatisfiable') return textReply(416, '', { 'Content-Range': `bytes */${size}` })
  const { start, end } = range === 'whole' ? { start: 0, end: size } : range
  const first = Math.floor(start / XORB_BYTES)
  const terms: unknown[] = []
  const xorbs: Record<string, unknown> = {}
  for (let index = first; index * XORB_BYTES < end; index++) {
    const length = Math.min(XORB_BYTES, size - index * XORB_BYTES)
    const chunks = { start: 0, end: Math.ceil(length / CHUNK_BYTES) }
    const name = seededHex(0, `xorb ${hash} ${index}`, 64)
    const bytes = { start: 0, end: length + chunks.end * CHUNK_HEADER_BYTES - 1 }
    terms.push({ hash: name, unpacked_length: length, range: chunks })
    xorbs[name] = [{ url: signedUrl(context, `/xorbs/${hash}/${index}`), ranges: [{ chunks, bytes }] }]
  }
  return jsonReply({ offset_into_first_range: start - first * XORB_BYTES, terms, xorbs })
}

function xorbRoute(context: HubContext, request: HubRequest, hash: string, index: number): Reply {
  if (!hasValidSignature(context, request)) return textReply(403, 'Forbidden')
  const file = context.state.xetFiles.get(hash)
  if (file === undefined || !Number.isInteger(index)) return textReply(404, 'Not found')
  const offset = index * XORB_BYTES
  const length = Math.min(XORB_BYTES, file.content.size - offset)
  const parts: Buffer[] = []
  for (let done = 0; done < length; done += CHUNK_BYTES) {
    const size = Math.min(CHUNK_BYTES, length - done)
    const header = Buffer.alloc(CHUNK_HEADER_BYTES)
    header.writeUIntLE(size, 1, 3)
    header.writeUIntLE(size, 5, 3)
    parts.push(header, Buffer.from(file.content.read(offset + done, size)))
  }
  return fileReply(request, bytesContent(Buffer.concat(parts)), `"${hash}-${index}"`, {})
}

function xetToken(context: HubContext): string {
  return `xet_${seededHex(context.options.seed, 'xet token', 40)}`
}
