import { createHash } from 'node:crypto'
import { parseGitOid, parseSha256, type GitOid } from '../../src/domain/digest.ts'
import type { Digests } from '../../src/domain/digest.ts'
import type { ContentKey } from '../../src/domain/listing.ts'

/** Digests of bytes, computed apart from the code under test. */
export function digestsOf(bytes: Uint8Array): Digests & { readonly gitOid: GitOid } {
  const sha256 = parseSha256(createHash('sha256').update(bytes).digest('hex'))!
  const gitOid = parseGitOid(createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'))!
  return { sha256, gitOid, size: bytes.length }
}

/** The key under which these bytes are fetched when the Hub promises their SHA-256. */
export function keyOf(bytes: Uint8Array): ContentKey {
  return `sha256-${digestsOf(bytes).sha256}`
}
