/** The second origin: LFS bytes behind signed links that expire. */
import { hasValidSignature, signedUrl } from './cdn-signature.ts'
import { fileReply } from './file-reply.ts'
import { textReply, type Reply } from './reply.ts'
import type { RepoState } from './repo-state.ts'
import type { HubContext, HubRequest } from './request.ts'
import type { StoredFile } from './stored-file.ts'
import { xetRoute } from './xet.ts'

const XML = { 'Content-Type': 'application/xml' }

/** A link to the bytes, valid for the configured time. The repo may go away meanwhile: the link still works. */
export function cdnLink(context: HubContext, repo: RepoState, file: StoredFile, xetHash: string): string {
  const path = `/xet-bridge-us/${repo.hubId}/${xetHash}`
  context.state.cdnFiles.set(path, { file, repo })
  return signedUrl(context, path)
}

/** Serves a signed link: 403 when the signature is wrong or the time is over, 404 when the object is gone. */
export function cdnRoute(context: HubContext, request: HubRequest): Reply {
  if (request.segments[0] !== 'xet-bridge-us') return xetRoute(context, request)
  if (!hasValidSignature(context, request)) {
    return textReply(403, '<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>', XML)
  }
  const found = context.state.cdnFiles.get(request.rawPath)
  if (found === undefined || found.repo.purged.has(found.file.content)) {
    return textReply(404, '<Error><Code>NoSuchKey</Code></Error>', XML)
  }
  return fileReply(request, found.file.content, `"${request.segments.at(-1)}"`, {
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': 'attachment',
    'Cache-Control': 'public, max-age=31536000',
  })
}
