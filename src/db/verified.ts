import type { Sha256 } from '../domain/digest.ts'
import { forEachYielding, type Bulk } from './bulk.ts'
import { bytesOf } from './codec.ts'

/** Notes that held blobs were re-read and are whole. */
export async function recordVerified(bulk: Bulk, sha256s: readonly Sha256[], at: string): Promise<void> {
  const atMs = Date.parse(at)
  await forEachYielding(sha256s, (sha256) => bulk.verified(bytesOf(sha256), atMs))
}
