import { lstat, readFile, readlink, realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import type { ExportEntry } from '../domain/export-plan.ts'
import { isErrno } from '../lib/fs-durable.ts'
import type { HashPool } from '../lib/hash-files.ts'
import type { OpenFolder } from '../lib/open-folder.ts'
import type { Layout } from './layout.ts'

/** What has the name of an entry already. */
export type EntryState =
  | { readonly kind: 'absent' }
  /** `isHashed`: its bytes were read. */
  | { readonly kind: 'same'; readonly isHashed: boolean }
  /** A branch file that names another commit. */
  | { readonly kind: 'other-ref'; readonly commit: string }
  | { readonly kind: 'different'; readonly what: string }

export interface StateContext {
  readonly layout: Layout
  readonly pool: HashPool
  /** Real path of the folder that is exported to: a link out of it is nobody's file. */
  readonly root: string
  /** Read the bytes of a file even when it is the very blob. */
  readonly alwaysHash: boolean
}

/** Compares one name in an open folder with what shall have it. @throws errno errors */
export async function stateOfEntry(
  context: StateContext,
  folder: OpenFolder,
  name: string,
  entry: ExportEntry,
  signal: AbortSignal,
): Promise<EntryState> {
  const path = folder.at(name)
  const facts = await lstatIfThere(path)
  if (facts === undefined) return { kind: 'absent' }
  if (entry.kind === 'link') {
    const target = facts.isSymbolicLink() ? await readlink(path) : undefined
    if (target === entry.target) return { kind: 'same', isHashed: false }
    return { kind: 'different', what: target === undefined ? 'is no link' : 'is a link to somewhere else' }
  }
  if (entry.kind === 'ref') {
    if (!facts.isFile() || facts.size > 256) return { kind: 'different', what: 'is no branch file' }
    const commit = (await readFile(path, 'utf8')).trim()
    return commit === entry.commit ? { kind: 'same', isHashed: false } : { kind: 'other-ref', commit }
  }
  const likeness = await compareBytes(context, path, entry, signal)
  if (likeness !== 'other') return { kind: 'same', isHashed: likeness === 'hashed' }
  return { kind: 'different', what: facts.isFile() ? 'has other bytes' : 'is no regular file' }
}

/**
 * Whether a file, or a link within the folder to one, has the bytes of a blob: by being that very blob, or by its hash.
 */
export async function compareBytes(
  context: StateContext,
  path: string,
  entry: Extract<ExportEntry, { kind: 'blob' }>,
  signal: AbortSignal,
): Promise<'very-blob' | 'hashed' | 'other'> {
  let real = path
  let facts = await lstat(path, { bigint: true })
  if (facts.isSymbolicLink()) {
    // Newer caches share blobs between repositories by such links.
    const target = await realpath(path).catch(() => undefined)
    if (target === undefined || !target.startsWith(context.root + sep)) return 'other'
    real = target
    facts = await lstat(real, { bigint: true })
  }
  if (!facts.isFile() || facts.size !== BigInt(entry.size)) return 'other'
  if (!context.alwaysHash) {
    const blob = await lstatIfThere(context.layout.blob(entry.sha256))
    if (blob?.dev === facts.dev && blob.ino === facts.ino) return 'very-blob'
  }
  return (await context.pool.hashFile(real, signal)).sha256 === entry.sha256 ? 'hashed' : 'other'
}

async function lstatIfThere(path: string) {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
