import { lstat, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Digests } from '../domain/digest.ts'
import { ArchiveError, invariant } from '../domain/errors.ts'
import { isContentOf, type ContentKey } from '../domain/listing.ts'
import { isErrno, linkOnce, makeDirectories, OPEN_EXISTING, syncDirectory, unlinkIfThere } from '../lib/fs-durable.ts'
import type { HashPool } from '../lib/hash-files.ts'
import { writeBlockChecks } from './block-checks.ts'
import type { Layout } from './layout.ts'
import type { FinishedPartial } from './partial-file.ts'
import { fixityFailed } from './store-error.ts'

/**
 * Gives a finished partial its blob name: folder made durable → checks of its blocks → link without replacing → fsync of the folder → partial
 * and journal removed. A crash between any two steps leaves a partial that can be published again. On a file system
 * without hard links the partial is moved instead, which the archive's lock makes safe.
 * @throws errno errors; FIXITY_FAILED where something else has the name: it is never overwritten
 */
export async function publishPartial(
  layout: Layout,
  key: ContentKey,
  finished: FinishedPartial,
  { known, pool, signal }: { readonly known: Set<string>; readonly pool: HashPool; readonly signal: AbortSignal },
): Promise<void> {
  const { digests } = finished
  assertKeyMatches(key, digests)
  const partial = layout.partialFile(key)
  await assertUntouched(partial, finished)
  await makeDirectories(layout.blobs, [layout.blobFolderName(digests.sha256)], known)
  if (digests.size > finished.checks.blockBytes) {
    // A help for the scrub, never a reason to fail. Before the name: a blob of which a kill took them would be without for good.
    await writeBlockChecks(layout, digests.sha256, finished.checks).catch(() => undefined)
  }
  const blob = layout.blob(digests.sha256)
  const outcome = await linkOnce(partial, blob)
  if (outcome === 'exists') await assertSameBytes(layout, pool, blob, finished, signal)
  try {
    await syncDirectory(dirname(blob))
  } catch (error) {
    // The name may vanish in a power cut, so it must not be taken for a held blob now. The bytes stay in the partial.
    if (outcome === 'linked') await unlinkIfThere(blob)
    throw error
  }
  await unlinkIfThere(partial)
  await unlinkIfThere(layout.pieceJournal(key))
}

/** What has the name already may be our own file, linked before a kill. Anything else is read: its name proves nothing. */
async function assertSameBytes(
  layout: Layout,
  pool: HashPool,
  blob: string,
  { digests, dev, ino }: FinishedPartial,
  signal: AbortSignal,
): Promise<void> {
  const facts = await lstat(blob, { bigint: true })
  if (facts.dev === dev && facts.ino === ino) return
  if (!facts.isFile()) throw fixityFailed(layout.shown(blob), 'is no regular file')
  if (facts.size !== BigInt(digests.size)) {
    throw fixityFailed(layout.shown(blob), `has ${facts.size} bytes instead of ${digests.size}`)
  }
  const found = await pool.hashFile(blob, signal).catch((error: unknown) => {
    if (!isErrno(error, 'EIO')) throw error
    throw fixityFailed(layout.shown(blob), 'cannot be read', error)
  })
  if (found.sha256 !== digests.sha256) throw fixityFailed(layout.shown(blob), 'has other bytes than its name says')
}

function assertKeyMatches(key: ContentKey, digests: Digests): void {
  if (isContentOf(key, digests)) return
  const actual = key.startsWith('sha256-') ? `sha256-${digests.sha256}` : `git-${digests.gitOid}-${digests.size}`
  throw new ArchiveError('DIGEST_MISMATCH', `the bytes fetched for ${key} are ${actual}`, {
    hint: 'They are not published. The file is fetched again later.',
    details: { expected: key, actual },
  })
}

/** The very file that was fsynced and hashed, unchanged since. */
async function assertUntouched(partial: string, finished: FinishedPartial): Promise<void> {
  await using handle = await open(partial, OPEN_EXISTING)
  const facts = await handle.stat({ bigint: true })
  const isSame =
    facts.isFile() &&
    facts.dev === finished.dev &&
    facts.ino === finished.ino &&
    facts.mtimeNs === finished.mtimeNs &&
    facts.size === BigInt(finished.digests.size)
  invariant(isSame, 'the partial is the file that was hashed')
}
