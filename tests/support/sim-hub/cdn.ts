/** The second origin: LFS bytes behind signed links that expire. */
import { createHmac } from 'node:crypto'
import { fileReply } from './file-reply.ts'
import { textReply, type Reply } from './reply.ts'
import type { RepoState } from './repo-state.ts'
import type { HubContext, HubRequest } from './request.ts'
import type { StoredFile } from './stored-file.ts'

const XML = { 'Content-Type': 'application/xml' }

/** A link to the bytes, valid for the configured time. The repo may go away meanwhile: the link still works. */
export function signCdnLink(context: HubContext, repo: RepoState, file: StoredFile, xetHash: string): string {
  const path = `/xet-bridge-us/${repo.hubId}/${xetHash}`
  context.state.cdnFiles.set(path, { file, repo })
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

/** Serves a signed link: 403 when the signature is wrong or the time is over, 404 when the object is gone. */
export function cdnRoute(context: HubContext, request: HubRequest): Reply {
  const { rawPath, query } = request
  const expires = Number(query.get('Expires'))
  if (query.get('Signature') !== signature(context, rawPath, expires)) return denied('AccessDenied', 'Access denied')
  if (request.fault.expireLink === true || context.options.now() / 1000 >= expires) {
    return denied('AccessDenied', 'Request has expired')
  }
  const found = context.state.cdnFiles.get(rawPath)
  if (found === undefined || found.repo.purged.has(found.file.content)) {
    return textReply(404, '<Error><Code>NoSuchKey</Code></Error>', XML)
  }
  return fileReply(request, found.file.content, `"${rawPath.split('/').at(-1)}"`, {
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': 'attachment',
    'Cache-Control': 'public, max-age=31536000',
  })
}

function denied(code: string, message: string): Reply {
  return textReply(403, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`, XML)
}

function signature(context: HubContext, path: string, expires: number): string {
  return createHmac('sha256', `cdn ${context.options.seed}`).update(`${path} ${expires}`).digest('hex')
}
