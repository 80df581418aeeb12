import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno, NO_HARD_LINKS } from '../lib/fs-durable.ts'
import { inLanes } from '../lib/in-lanes.ts'
import { digestsOf, fail, forPending, type Entry } from './batch-entry.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'
import { readDigests } from './prove-content.ts'
import { fixityFailed } from './store-error.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
/** File systems that cannot sync a folder are taken as they are. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']
/** Folders that are open at once. */
const FOLDERS_AT_ONCE = 32

/**
 * Gives proven contents their names and makes these durable: a folder is synced once for all that were linked into it.
 * What fails has no name, and says so in its entry.
 * @param known blob folders whose own names are durable; grows
 */
export async function nameContents(layout: Layout, known: Set<string>, entries: readonly Entry[]): Promise<void> {
  await makeFolders(layout, known, entries)
  await forPending(layout, entries, (entry) => give(layout, entry))
  await syncFolders(layout, entries)
}

/** Blob folders that are missing, and then once the folder they are in. */
async function makeFolders(layout: Layout, known: Set<string>, entries: readonly Entry[]): Promise<void> {
  const made = new Map<string, Promise<void>>()
  await forPending(layout, entries, async (entry) => {
    entry.blob = layout.blob(digestsOf(entry).sha256)
    const folder = dirname(entry.blob)
    if (known.has(folder)) return
    const making = made.get(folder) ?? makeFolder(entry.io, folder)
    made.set(folder, making)
    await making
  })
  const maker = entries.find((entry) => made.has(dirname(entry.blob)))
  if (maker === undefined) return
  // Also what is there already: the process that made it may have died before the name was durable.
  const synced = syncFolder(maker.io, layout.blobs)
  await forPending(layout, entries, async (entry) => {
    if (!made.has(dirname(entry.blob))) return
    await synced
    known.add(dirname(entry.blob))
  })
  await synced.catch(() => undefined)
}

async function makeFolder(io: BatchIo, folder: string): Promise<void> {
  try {
    await io.mkdir(folder, 0o750)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    if ((await io.lstat(folder)).isDirectory()) return
    throw Object.assign(new Error('ENOTDIR: not a directory', { cause: error }), {
      code: 'ENOTDIR',
      errno: -20,
      path: folder,
    })
  }
}

/** Gives the proven bytes their name. Whatever has it already is never replaced. */
async function give(layout: Layout, entry: Entry): Promise<void> {
  const { io, partial, blob } = entry
  try {
    await io.link(partial, blob)
    entry.isLinked = true
    return
  } catch (error) {
    if (isErrno(error, ...NO_HARD_LINKS)) {
      if (!(await isTaken(io, blob))) {
        await io.rename(partial, blob)
        entry.isLinked = true
        return
      }
    } else if (!isErrno(error, 'EEXIST')) throw error
  }
  await assertSameBytes(layout, entry)
}

/** A name proves nothing: what has it already is read. */
async function assertSameBytes(layout: Layout, { io, blob, digests }: Entry): Promise<void> {
  const facts = await io.lstat(blob)
  const shown = layout.shown(blob)
  if (!facts.isFile()) throw fixityFailed(shown, 'is no regular file')
  if (facts.size !== digests?.size) throw fixityFailed(shown, `has ${facts.size} bytes instead of ${digests?.size}`)
  const fd = await io.open(blob, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
  try {
    if (readDigests(io, fd).sha256 !== digests.sha256) throw fixityFailed(shown, 'has other bytes than its name says')
  } catch (error) {
    throw isErrno(error, 'EIO') ? fixityFailed(shown, 'cannot be read', error) : error
  } finally {
    io.close(fd)
  }
}

async function isTaken(io: BatchIo, path: string): Promise<boolean> {
  try {
    await io.lstat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function syncFolders(layout: Layout, entries: readonly Entry[]): Promise<void> {
  const pending = entries.filter((entry) => entry.result === undefined)
  const byFolder = Map.groupBy(pending, (entry) => dirname(entry.blob))
  await inLanes(byFolder, FOLDERS_AT_ONCE, new AbortController().signal, async ([folder, named]) => {
    try {
      await syncFolder(named[0]!.io, folder)
    } catch (error) {
      await Promise.all(named.map((entry) => takeBack(layout, entry, error)))
    }
  })
}

/** The name may vanish in a power cut, so it must not be taken for a held blob now. */
async function takeBack(layout: Layout, entry: Entry, error: unknown): Promise<void> {
  if (entry.isLinked) await entry.io.unlink(entry.blob).catch(() => undefined)
  await fail(layout, entry, error)
}

async function syncFolder(io: BatchIo, folder: string): Promise<void> {
  const fd = await io.open(folder, O_RDONLY | O_DIRECTORY, 0)
  try {
    await io.fsync(fd)
  } catch (error) {
    if (!isErrno(error, ...NO_FOLDER_SYNC)) throw error
  } finally {
    io.close(fd)
  }
}
