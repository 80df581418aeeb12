import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HashPool } from '../../src/lib/hash-files.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { SILENT } from '../store/store-fixture.ts'
import { CRASH_PIECE_BYTES } from './contents.ts'

/**
 * Reads every blob with plain node:fs, nothing of ours: each name is the SHA-256 of its bytes, each blob is read-only.
 * @param seen names already read in an earlier round; grows
 */
export function assertNoWrongBlob(root: string, seen: Set<string>): void {
  const blobs = join(root, 'blobs', 'sha256')
  for (const folder of existsSync(blobs) ? readdirSync(blobs) : []) {
    for (const name of readdirSync(join(blobs, folder))) {
      if (seen.has(name)) continue
      const path = join(blobs, folder, name)
      assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), name)
      assert.equal(lstatSync(path).mode & 0o777, 0o440)
      seen.add(name)
    }
  }
}

/** What a restarted process does for one content, in this process: it must end with the blob in place. */
export async function restartAndIngest(root: string, bytes: Buffer): Promise<void> {
  const { signal } = new AbortController()
  await using hashPool = new HashPool(1)
  const { archiveId } = await openArchiveFolder(root, { create: true })
  const store = createBlobStore({ root, archiveId, pieceBytes: CRASH_PIECE_BYTES, hashPool, log: SILENT })
  const expected = digestsOf(bytes)
  {
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, signal)
    await partial.append(bytes.subarray(partial.position), signal)
    assert.deepEqual(await partial.finish(signal), expected)
    await store.publish(keyOf(bytes), expected, signal)
  }
  assert.deepEqual(await store.digest(expected.sha256, signal), expected)
  assert.deepEqual(readdirSync(join(root, 'partial')), [], 'nothing is left over')
}
