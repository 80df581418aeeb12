import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import type { Digests } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import type { StoredSmall } from '../intake-port.ts'
import { isErrno, NO_HARD_LINKS } from '../lib/fs-durable.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'
import { fixityFailed, storeError } from './store-error.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants
/** File systems that cannot sync a folder are taken as they are. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']

/** One content of a batch, and the key it is asked for under. */
export interface BatchItem {
  readonly key: ContentKey
  readonly bytes: Uint8Array
}

/** What became of an item: stored, set aside as what its key does not promise, or failed and gone. */
export type BatchResult = StoredSmall | Error

/** What a batch is committed with. */
export interface BatchContext {
  readonly layout: Layout
  /** Blob folders whose names are durable; grows. */
  readonly known: Set<string>
  /** Batches give names one after another: what one takes back after a failure, no other has counted on. */
  readonly naming: Turns
  readonly io: BatchIo
}

/** Lets work in one at a time, in the order of asking. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  take(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work, work)
    return this.#last
  }
}

interface Entry {
  readonly item: BatchItem
  readonly partial: string
  fd: number | undefined
  digests: Digests | undefined
  blob: string
  /** This batch gave the blob its name. */
  isLinked: boolean
  result: BatchResult | undefined
}

/**
 * Makes many small contents durable together. For each the order is that of one: write → fsync → read back and hash →
 * link without replacing → fsync of its folder → partial removed. Files are synced side by side, and a folder once for
 * all that were linked into it. What fails, fails alone: its file is dead.
 */
export async function commitBatch(context: BatchContext, items: readonly BatchItem[]): Promise<BatchResult[]> {
  const entries = items.map((item): Entry => {
    const partial = context.layout.partialFile(item.key)
    return { item, partial, fd: undefined, digests: undefined, blob: '', isLinked: false, result: undefined }
  })
  await forPending(context, entries, (entry) => prove(context, entry))
  await context.naming.take(async () => {
    await makeFolders(context, entries)
    await forPending(context, entries, (entry) => give(context, entry))
    await syncFolders(context, entries)
  })
  await forPending(context, entries, async (entry) => {
    // It is published: what is left of it now is litter, which the next start sweeps.
    await context.io.unlink(entry.partial).catch(() => undefined)
    entry.result = { digests: digestsOf(entry), isPublished: true }
  })
  return entries.map((entry) => entry.result ?? new Error('an item of a batch has no result'))
}

/** Runs a step for what has not failed; whatever it throws is the end of that one. */
async function forPending(
  context: BatchContext,
  entries: readonly Entry[],
  step: (entry: Entry) => Promise<void>,
): Promise<void> {
  const pending = entries.filter((entry) => entry.result === undefined)
  await Promise.all(pending.map((entry) => step(entry).catch((error: unknown) => fail(context, entry, error))))
}

/** Nothing of a file that failed may be used: after a failed fsync the cache may show bytes that the disk does not have. */
async function fail({ io, layout }: BatchContext, entry: Entry, error: unknown): Promise<void> {
  entry.result = await storeError(layout, entry.partial, error)
  if (entry.fd !== undefined) {
    try {
      io.close(entry.fd)
    } catch {
      // The first failure is the one to tell.
    }
  }
  await io.unlink(entry.partial).catch(() => undefined)
}

/** Writes, fsyncs, and hashes what is in the file, not what came: only that proves the bytes that will be served. */
async function prove({ io }: BatchContext, entry: Entry): Promise<void> {
  const { key, bytes } = entry.item
  const fd = await openNew(io, entry.partial)
  entry.fd = fd
  io.makeReadOnly(fd)
  for (let written = 0; written < bytes.length;) {
    const count = await io.write(fd, written === 0 ? bytes : bytes.subarray(written), written)
    if (count === 0) throw Object.assign(new Error('write took no bytes'), { code: 'EIO', errno: -5 })
    written += count
  }
  await io.fsync(fd)
  const digests = readDigests(io, fd)
  entry.fd = undefined
  io.close(fd)
  entry.digests = digests
  const actual = key.startsWith('sha256-') ? `sha256-${digests.sha256}` : `git-${digests.gitOid}-${digests.size}`
  if (actual !== key || digests.size !== bytes.length) entry.result = { digests, isPublished: false }
}

async function openNew(io: BatchIo, path: string): Promise<number> {
  const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR
  try {
    return await io.open(path, flags, 0o440)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    // Left by a process that was killed. It may be a published blob's second name, so it is never written to.
    await io.unlink(path)
    return io.open(path, flags, 0o440)
  }
}

/** Git hashes the length in front of the bytes: room for it there makes both digests one call each. */
const PREFIX_BYTES = 32
/** One byte more than the longest content shows a file that is too long. Used within one turn only. */
const readBack = Buffer.allocUnsafeSlow(PREFIX_BYTES + SMALL_CONTENT_BYTES + 1)

function readDigests(io: BatchIo, fd: number): Digests {
  let end = PREFIX_BYTES
  for (;;) {
    const count = io.read(fd, readBack, end, end - PREFIX_BYTES)
    end += count
    if (count === 0 || end === readBack.length) break
  }
  const size = end - PREFIX_BYTES
  const prefix = `blob ${size}\0`
  readBack.write(prefix, PREFIX_BYTES - prefix.length, 'latin1')
  const sha256 = parseSha256(hash('sha256', readBack.subarray(PREFIX_BYTES, end), 'hex'))
  const gitOid = parseGitOid(hash('sha1', readBack.subarray(PREFIX_BYTES - prefix.length, end), 'hex'))
  invariant(sha256 !== undefined && gitOid !== undefined, 'a hash is a digest')
  return { sha256, gitOid, size }
}

/** Blob folders that are missing, and then once the folder they are in. */
async function makeFolders(context: BatchContext, entries: readonly Entry[]): Promise<void> {
  const { io, layout, known } = context
  const made = new Map<string, Promise<void>>()
  await forPending(context, entries, async (entry) => {
    entry.blob = layout.blob(digestsOf(entry).sha256)
    const folder = dirname(entry.blob)
    if (known.has(folder)) return
    const making = made.get(folder) ?? makeFolder(io, folder)
    made.set(folder, making)
    await making
  })
  if (made.size === 0) return
  // Also what is there already: the process that made it may have died before the name was durable.
  const synced = syncFolder(io, layout.blobs)
  await forPending(context, entries, async (entry) => {
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
    throw Object.assign(new Error('ENOTDIR: not a directory', { cause: error }), { code: 'ENOTDIR', errno: -20 })
  }
}

/** Gives the proven bytes their name. Whatever has it already is never replaced. */
async function give({ io, layout }: BatchContext, entry: Entry): Promise<void> {
  try {
    await io.link(entry.partial, entry.blob)
    entry.isLinked = true
    return
  } catch (error) {
    if (isErrno(error, ...NO_HARD_LINKS)) {
      if (!(await isTaken(io, entry.blob))) {
        await io.rename(entry.partial, entry.blob)
        entry.isLinked = true
        return
      }
    } else if (!isErrno(error, 'EEXIST')) throw error
  }
  const facts = await io.lstat(entry.blob)
  const { size } = digestsOf(entry)
  if (facts.isFile() && facts.size === size) return
  const what = facts.isFile() ? `has ${facts.size} bytes instead of ${size}` : 'is no regular file'
  throw fixityFailed(layout.shown(entry.blob), what)
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

async function syncFolders(context: BatchContext, entries: readonly Entry[]): Promise<void> {
  const { io } = context
  const synced = new Map<string, Promise<void>>()
  await forPending(context, entries, async (entry) => {
    const folder = dirname(entry.blob)
    const syncing = synced.get(folder) ?? syncFolder(io, folder)
    synced.set(folder, syncing)
    try {
      await syncing
    } catch (error) {
      // The name may vanish in a power cut, so it must not be taken for a held blob now.
      if (entry.isLinked) await io.unlink(entry.blob).catch(() => undefined)
      throw error
    }
  })
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

function digestsOf(entry: Entry): Digests {
  invariant(entry.digests !== undefined, 'what is published was proven')
  return entry.digests
}
