import { createHash } from 'node:crypto'
import type { BigIntStats, Dir } from 'node:fs'
import { lstat, opendir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { isErrno } from '../lib/fs-durable.ts'
import type { ForeignFile } from '../maintenance/adopt-files.ts'

/** What a walk passed over. */
export interface PassedOver {
  /** Links to files or folders outside of the folder. */
  readonly linksOutside: string[]
  /** Pipes, sockets, devices. */
  special: number
  /** What the Hub's clients and LM Studio write beside the files: locks, branch files, indexes, unfinished downloads. */
  bookkeeping: number
  readonly unreadable: string[]
}

const MOST_NAMED = 1000
const MAX_DEPTH = 100
const BOOKKEEPING = [
  /(^|\/)\.cache\/huggingface\/((download|upload)\/|\.gitignore$)/,
  /(^|\/)\.locks\//,
  /(^|\/)(models|datasets|spaces)--[^/]+\/(refs|\.no_exist|trees)\//,
  /(^|\/)(CACHEDIR\.TAG|\.huggingface-shared-blobs)$/,
  /\.incomplete$/,
  // LM Studio: downloads that go on, and what it knows of its own models.
  /(^|\/)downloading_[^/]+\.part$/,
  /\.(gguf|safetensors)\.part$/,
  /(^|\/)(\.lmstudio|lm-studio)\/\.internal\//,
  /(^|\/)\.weightvault-[0-9a-f]{16}\//,
]

export function nothingPassedOver(): PassedOver {
  return { linksOutside: [], special: 0, bookkeeping: 0, unreadable: [] }
}

/**
 * Every regular file below a folder, in the order of the disk, holding one open folder a level. Links are never followed:
 * what a link within the folder points to is met anyway. The archive itself is passed over.
 * @param root absolute path without links
 */
export async function* walkFolder(
  root: string,
  archive: string,
  passed: PassedOver,
  signal: AbortSignal,
): AsyncGenerator<ForeignFile> {
  const open: { dir: Dir; path: string }[] = [{ dir: await opendir(root), path: root }]
  try {
    while (open.length > 0) {
      signal.throwIfAborted()
      const { dir, path: folder } = open.at(-1)!
      const entry = await dir.read()
      if (entry === null) {
        open.pop()
        await dir.close()
        continue
      }
      const path = join(folder, entry.name)
      const facts = await lstatOrNote(path, root, passed)
      if (facts === undefined) continue
      if (facts.isDirectory()) {
        const child = path === archive || open.length >= MAX_DEPTH ? undefined : await openOrNote(path, root, passed)
        if (child !== undefined) open.push({ dir: child, path })
      } else if (facts.isSymbolicLink()) {
        await noteLink(path, root, passed)
      } else if (!facts.isFile()) {
        passed.special += 1
      } else if (BOOKKEEPING.some((pattern) => pattern.test(path.split(sep).join('/')))) {
        passed.bookkeeping += 1
      } else {
        yield foreignFile(path, root, facts)
      }
    }
  } finally {
    for (const { dir } of open) await dir.close().catch(() => undefined)
  }
}

function foreignFile(path: string, root: string, facts: BigIntStats): ForeignFile {
  const { dev, ino, size, mtimeNs } = facts
  return {
    path,
    shown: relative(root, path),
    size: Number(size),
    seen: { pathDigest: shortDigest(path), stamp: shortDigest(`${dev} ${ino} ${size} ${mtimeNs}`) },
  }
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

async function lstatOrNote(path: string, root: string, passed: PassedOver): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    // Gone since the folder was read: nothing to tell.
    if (!isErrno(error, 'ENOENT')) note(passed.unreadable, relative(root, path))
    return undefined
  }
}

async function openOrNote(path: string, root: string, passed: PassedOver): Promise<Dir | undefined> {
  try {
    return await opendir(path)
  } catch {
    note(passed.unreadable, relative(root, path))
    return undefined
  }
}

async function noteLink(path: string, root: string, passed: PassedOver): Promise<void> {
  const target = await realpath(path).catch(() => undefined)
  if (target === undefined || target === root || target.startsWith(root + sep)) return
  note(passed.linksOutside, relative(root, path))
}

function note(names: string[], name: string): void {
  if (names.length < MOST_NAMED) names.push(name)
}
