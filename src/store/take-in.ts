import { constants } from 'node:fs'
import { chmod, copyFile, link, open } from 'node:fs/promises'
import type { BlobStore, GiveMethod } from '../blob-port.ts'
import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import type { Digests, WholeDigests } from '../domain/digest.ts'
import { ArchiveError, invariant } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { ContentKey } from '../domain/listing.ts'
import { diskError, isErrno, OPEN_EXISTING, unlinkIfThere } from '../lib/fs-durable.ts'
import type { HashPool } from '../lib/hash-files.ts'
import { CANNOT_SHARE } from './give-blob.ts'
import type { Layout } from './layout.ts'
import { publishPartial } from './publish-blob.ts'
import { onDisk } from './store-error.ts'

const READ_BYTES = 4 * 1024 * 1024

export interface TakeInContext {
  readonly layout: Layout
  readonly pool: HashPool
  /** Unit of the checks that are kept with a blob. */
  readonly blockBytes: number
  /** Folders whose names are durable. */
  readonly known: Set<string>
  readonly store: Pick<BlobStore, 'openPartial' | 'publish' | 'sizeOf'>
}

/** `BlobStore.digestFile`: both digests of a file outside the archive, read now. */
export async function digestFile(pool: HashPool, path: string, signal: AbortSignal): Promise<WholeDigests> {
  try {
    // Whatever its size: some listing may name the file by its git id.
    const { sha256, gitOid, size } = await pool.hashFile(path, signal, { gitOid: 'always' })
    const [sha, oid] = [parseSha256(sha256), parseGitOid(gitOid)]
    invariant(sha !== undefined && oid !== undefined, 'the hash pool returns digests')
    return { sha256: sha, gitOid: oid, size }
  } catch (error) {
    if (!isErrno(error)) throw error
    throw new ArchiveError('FILE_UNKNOWN', `${displayName(path)} cannot be read (${error.code ?? 'an error'})`, {
      cause: error,
      hint: 'nothing was changed; look at the file and its permissions',
    })
  }
}

/** `BlobStore.takeIn` for an archive that is a folder. */
export async function takeIn(
  context: TakeInContext,
  path: string,
  digests: Digests,
  method: GiveMethod,
  signal: AbortSignal,
): Promise<GiveMethod | 'held'> {
  signal.throwIfAborted()
  if ((await context.store.sizeOf(digests.sha256)) === digests.size) return 'held'
  if (method !== 'copy' && (await share(context, path, digests, method, signal))) return method
  await copyIn(context, path, digests, signal)
  return 'copy'
}

/**
 * Clones or links the file into `partial/`, then treats it as any finished download: hashed where it is now, published
 * only as what it is. Returns false where the file system cannot.
 */
async function share(
  { layout, pool, blockBytes, known }: TakeInContext,
  path: string,
  digests: Digests,
  method: Exclude<GiveMethod, 'copy'>,
  signal: AbortSignal,
): Promise<boolean> {
  const key: ContentKey = `sha256-${digests.sha256}`
  const partial = layout.partialFile(key)
  return onDisk(layout, partial, async () => {
    // What was downloaded of the same bytes is not needed any more.
    await unlinkIfThere(partial)
    await unlinkIfThere(layout.pieceJournal(key))
    try {
      if (method === 'reflink')
        await copyFile(path, partial, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
      else await link(path, partial)
      // A linked file is now read-only for everybody who has it: whoever could still write it would change a blob.
      await chmod(partial, 0o440)
    } catch (error) {
      await unlinkIfThere(partial)
      if (isErrno(error, ...CANNOT_SHARE)) return false
      throw changed(path, error)
    }
    try {
      await using handle = await open(partial, OPEN_EXISTING)
      await handle.sync()
      const { sha256, size, crcs } = await pool.hashBlocks(partial, blockBytes, signal)
      const { dev, ino, mtimeNs } = await handle.stat({ bigint: true })
      if (sha256 !== digests.sha256 || size !== digests.size) throw changed(path, undefined)
      const checks = { size, blockBytes, crcs }
      const finished = { digests: { ...digests, gitOid: undefined }, checks, dev, ino, mtimeNs }
      await publishPartial(layout, key, finished, { known, pool, signal })
      return true
    } catch (error) {
      await unlinkIfThere(partial)
      throw error
    }
  })
}

/** Copies the bytes as if they were a download: resumed, fsynced, hashed, published. */
async function copyIn({ store }: TakeInContext, path: string, digests: Digests, signal: AbortSignal): Promise<void> {
  const key: ContentKey = `sha256-${digests.sha256}`
  for (const isLast of [false, true]) {
    await using partial = await store.openPartial(key, digests.size, signal)
    // What is there may be of a download that went wrong.
    if (isLast) await partial.restart()
    await using source = await openSource(path, digests.size)
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, digests.size)))
    while (partial.position < digests.size) {
      const wanted = Math.min(buffer.length, digests.size - partial.position)
      const { bytesRead } = await source.read(buffer, 0, wanted, partial.position)
      if (bytesRead === 0) throw changed(path, undefined)
      await partial.append(buffer.subarray(0, bytesRead), signal)
    }
    const found = await partial.finish(signal)
    if (found.sha256 === digests.sha256) return store.publish(key, found, signal)
    await partial.restart()
  }
  throw changed(path, undefined)
}

async function openSource(path: string, size: number) {
  const source = await open(path, OPEN_EXISTING).catch((error: unknown) => {
    throw changed(path, error)
  })
  const facts = await source.stat()
  if (facts.isFile() && facts.size === size) return source
  await source.close()
  throw changed(path, undefined)
}

function changed(path: string, cause: unknown): ArchiveError {
  if (isErrno(cause, 'ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO')) return diskError(cause, 'partial') as ArchiveError
  return new ArchiveError('FILE_UNKNOWN', `${displayName(path)} changed while it was taken in`, {
    cause,
    hint: 'nothing of it was published; run adopt again when nothing writes there',
  })
}
