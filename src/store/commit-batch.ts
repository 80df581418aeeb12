import { createHash, hash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ContentKey } from '../domain/listing.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import { isErrno, NO_HARD_LINKS } from '../lib/fs-durable.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants

/** One content of a batch: a part of the shared memory, and the key it is asked for under. */
export interface BatchItem {
  readonly key: ContentKey
  readonly offset: number
  readonly length: number
}

/** What became of an item. Plain data: it crosses threads. `differs`: its bytes are in its partial, not those of its key. */
export type BatchResult =
  | { readonly kind: 'published' | 'differs'; readonly sha256: string; readonly gitOid: string; readonly size: number }
  | { readonly kind: 'occupied'; readonly path: string; readonly what: string }
  | { readonly kind: 'failed'; readonly path: string; readonly error: PlainErrno }

/** An operating system error as data. */
export interface PlainErrno {
  readonly message: string
  readonly code: string | undefined
  readonly errno: number | undefined
  readonly syscall: string | undefined
}

/** What a batch is committed with. */
export interface BatchContext {
  readonly layout: Layout
  readonly memory: Uint8Array
  /** Blob folders whose names are durable; grows. */
  readonly known: Set<string>
  readonly io: BatchIo
}

interface Entry {
  readonly item: BatchItem
  readonly partial: string
  fd: number | undefined
  digests: { sha256: string; gitOid: string; size: number } | undefined
  blob: string
  /** This batch gave the blob its name. */
  isLinked: boolean
  result: BatchResult | undefined
}

/**
 * Makes many small contents durable together. For each the order is that of one: write → fsync → read back and hash →
 * link without replacing → fsync of its folder → partial removed; but each step is done for all before the next begins,
 * so that the fsyncs run side by side and a folder is synced once. What fails, fails alone: its file is dead.
 */
export async function commitBatch(context: BatchContext, items: readonly BatchItem[]): Promise<BatchResult[]> {
  const entries = items.map((item): Entry => {
    const partial = context.layout.partialFile(item.key)
    return { item, partial, fd: undefined, digests: undefined, blob: '', isLinked: false, result: undefined }
  })
  for (const entry of entries) attempt(context, entry, () => writeFile(context, entry))
  await Promise.all(pending(entries).map((entry) => attemptLater(context, entry, () => context.io.fsync(entry.fd!))))
  for (const entry of pending(entries)) attempt(context, entry, () => prove(context, entry))
  for (const entry of entries) close(context, entry)
  makeFolders(context, pending(entries))
  for (const entry of pending(entries)) attempt(context, entry, () => give(context, entry))
  await syncFolders(context, pending(entries))
  for (const entry of pending(entries)) {
    entry.result = { kind: 'published', ...entry.digests! }
    // Already published: what is left is litter, which the next start sweeps.
    quietly(() => context.io.unlink(entry.partial))
  }
  return entries.map((entry) => entry.result!)
}

function pending(entries: readonly Entry[]): Entry[] {
  return entries.filter((entry) => entry.result === undefined)
}

function writeFile({ io, memory }: BatchContext, entry: Entry): void {
  const { offset, length } = entry.item
  const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR
  try {
    entry.fd = io.open(entry.partial, flags, 0o440)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    // Left by a process that was killed. It may be a published blob's second name, so it is never written to.
    io.unlink(entry.partial)
    entry.fd = io.open(entry.partial, flags, 0o440)
  }
  io.makeReadOnly(entry.fd)
  for (let written = 0; written < length;) {
    const count = io.write(entry.fd, memory, offset + written, length - written, written)
    if (count === 0) throw Object.assign(new Error('write took no bytes'), { code: 'EIO', errno: -5 })
    written += count
  }
}

/** One byte more than the longest content shows a file that is too long. */
const readBack = Buffer.allocUnsafeSlow(SMALL_CONTENT_BYTES + 1)

/** Hashes what is in the file, not what came: only that proves the bytes that will be served. */
function prove({ io }: BatchContext, entry: Entry): void {
  let length = 0
  for (;;) {
    const count = io.read(entry.fd!, readBack, length, readBack.length - length, length)
    length += count
    if (count === 0 || length === readBack.length) break
  }
  const bytes = readBack.subarray(0, length)
  const sha256 = hash('sha256', bytes, 'hex')
  const gitOid = createHash('sha1').update(`blob ${length}\0`).update(bytes).digest('hex')
  entry.digests = { sha256, gitOid, size: length }
  const actual = entry.item.key.startsWith('sha256-') ? `sha256-${sha256}` : `git-${gitOid}-${length}`
  if (actual !== entry.item.key || length !== entry.item.length) {
    entry.result = { kind: 'differs', ...entry.digests }
  }
}

/** Blob folders that are missing, and then once the folder they are in. */
function makeFolders(context: BatchContext, entries: readonly Entry[]): void {
  const { io, layout, known } = context
  const made: string[] = []
  for (const entry of entries) {
    entry.blob = join(layout.blobs, entry.digests!.sha256.slice(0, 2), entry.digests!.sha256)
    const folder = dirname(entry.blob)
    if (known.has(folder) || made.includes(folder)) continue
    const isMade = attempt(context, entry, () => {
      try {
        io.mkdir(folder, 0o750)
      } catch (error) {
        if (!isErrno(error, 'EEXIST')) throw error
        if (!io.lstat(folder).isDirectory()) throw notFolder()
      }
    })
    if (isMade) made.push(folder)
  }
  if (made.length === 0) return
  const affected = entries.filter((entry) => made.includes(dirname(entry.blob)))
  // A folder that is there already may be of a process that died before it could make the name durable.
  const failure = caught(() => syncFolderNow(io, layout.blobs))
  if (failure === undefined) for (const folder of made) known.add(folder)
  else for (const entry of affected) fail(context, entry, failure)
}

function notFolder(): Error {
  return Object.assign(new Error('ENOTDIR: not a directory'), { code: 'ENOTDIR', errno: -20, syscall: 'mkdir' })
}

/** Gives the proven bytes their name. Whatever has it already is never replaced. */
function give({ io, layout }: BatchContext, entry: Entry): void {
  try {
    io.link(entry.partial, entry.blob)
    entry.isLinked = true
    return
  } catch (error) {
    if (isErrno(error, ...NO_HARD_LINKS)) {
      const there = statIfThere(io, entry.blob)
      if (there === undefined) {
        io.rename(entry.partial, entry.blob)
        entry.isLinked = true
        return
      }
    } else if (!isErrno(error, 'EEXIST')) throw error
  }
  const facts = io.lstat(entry.blob)
  if (facts.isFile() && facts.size === entry.digests!.size) return
  const what = facts.isFile() ? `has ${facts.size} bytes instead of ${entry.digests!.size}` : 'is no regular file'
  entry.result = { kind: 'occupied', path: layout.shown(entry.blob), what }
  quietly(() => io.unlink(entry.partial))
}

async function syncFolders(context: BatchContext, entries: readonly Entry[]): Promise<void> {
  const byFolder = Map.groupBy(entries, (entry) => dirname(entry.blob))
  await Promise.all(
    [...byFolder].map(async ([folder, inIt]) => {
      const failure = await caughtLater(() => syncFolder(context.io, folder))
      if (failure === undefined) return
      for (const entry of inIt) {
        // The name may vanish in a power cut, so it must not be taken for a held blob now.
        if (entry.isLinked) quietly(() => context.io.unlink(entry.blob))
        fail(context, entry, failure)
      }
    }),
  )
}

/** File systems that cannot sync a folder are taken as they are. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']

async function syncFolder(io: BatchIo, folder: string): Promise<void> {
  const fd = io.open(folder, O_RDONLY | O_DIRECTORY, 0)
  try {
    await io.fsync(fd)
  } catch (error) {
    if (!isErrno(error, ...NO_FOLDER_SYNC)) throw error
  } finally {
    io.close(fd)
  }
}

function syncFolderNow(io: BatchIo, folder: string): void {
  const fd = io.open(folder, O_RDONLY | O_DIRECTORY, 0)
  try {
    io.fsyncNow(fd)
  } catch (error) {
    if (!isErrno(error, ...NO_FOLDER_SYNC)) throw error
  } finally {
    io.close(fd)
  }
}

function attempt(context: BatchContext, entry: Entry, step: () => void): boolean {
  const failure = caught(step)
  if (failure !== undefined) fail(context, entry, failure)
  return failure === undefined
}

async function attemptLater(context: BatchContext, entry: Entry, step: () => Promise<void>): Promise<void> {
  const failure = await caughtLater(step)
  if (failure !== undefined) fail(context, entry, failure)
}

/** Nothing of a file that failed may be used: after a failed fsync the cache may show bytes that the disk does not have. */
function fail(context: BatchContext, entry: Entry, error: unknown): void {
  const { message, code, errno, syscall } = error as Partial<NodeJS.ErrnoException>
  const path = context.layout.shown(entry.partial)
  entry.result = { kind: 'failed', path, error: { message: String(message), code, errno, syscall } }
  close(context, entry)
  quietly(() => context.io.unlink(entry.partial))
}

function close({ io }: BatchContext, entry: Entry): void {
  const { fd } = entry
  entry.fd = undefined
  if (fd === undefined) return
  const failure = caught(() => io.close(fd))
  if (failure !== undefined && entry.result === undefined) {
    const { message, code, errno, syscall } = failure as Partial<NodeJS.ErrnoException>
    entry.result = { kind: 'failed', path: entry.partial, error: { message: String(message), code, errno, syscall } }
    quietly(() => io.unlink(entry.partial))
  }
}

function statIfThere(io: BatchIo, path: string): Stats | undefined {
  try {
    return io.lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function caught(step: () => void): unknown {
  try {
    step()
    return undefined
  } catch (error) {
    return error
  }
}

async function caughtLater(step: () => Promise<void>): Promise<unknown> {
  try {
    await step()
    return undefined
  } catch (error) {
    return error
  }
}

function quietly(step: () => void): void {
  caught(step)
}
