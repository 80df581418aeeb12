import type { Stats } from 'node:fs'
import { lstat, readdir, readFile, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { QuarantineNote } from '../blob-port.ts'
import { parseSha256, type Sha256 } from '../domain/digest.ts'
import { isErrno, syncDirectory, unlinkIfThere, writeFileOnce } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'

const MAX_SAME_NAMES = 1000

/**
 * Moves something into quarantine under `<time>-<sha or name>.bin`, after its note is durable beside it. Nothing is
 * followed or opened. The same wrong bytes instead of the same right ones are kept once: a Hub that holds a file damaged
 * would fill the disk with copies of it.
 * @returns where it is now, or where the copy of earlier is; undefined when there was nothing to move
 * @throws errno errors
 */
export async function moveToQuarantine(
  layout: Layout,
  path: string,
  note: QuarantineNote,
): Promise<string | undefined> {
  const earlier = await findEarlier(layout, path, note)
  if (earlier !== undefined) {
    await unlinkIfThere(path)
    return earlier
  }
  const stem = `${fileTime(note.at)}-${parseSha256(note.actual) ?? basename(path)}`
  for (let number = 1; number <= MAX_SAME_NAMES; number += 1) {
    const target = join(layout.quarantine, number === 1 ? stem : `${stem}-${number}`)
    if (await isTaken(`${target}.bin`)) continue
    const text = `${JSON.stringify({ format: 'weightvault-quarantine/1', ...note }, undefined, 2)}\n`
    if ((await writeFileOnce(`${target}.json`, Buffer.from(text))) === 'exists') continue
    try {
      await rename(path, `${target}.bin`)
    } catch (error) {
      await unlinkIfThere(`${target}.json`)
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
    await syncDirectory(layout.quarantine)
    return `${target}.bin`
  }
  throw new Error(`quarantine has ${MAX_SAME_NAMES} files named ${stem}`)
}

/**
 * Links, folders and pipes that have the name of a partial download are never followed or opened: they are moved away, with
 * a note, for a person to look at.
 * @returns where it is now; undefined where there is nothing, or a regular file
 * @throws errno errors
 */
export async function setForeignAside(layout: Layout, path: string): Promise<string | undefined> {
  const facts = await factsOf(path)
  if (facts === undefined || facts.isFile()) return undefined
  return moveToQuarantine(layout, path, {
    reason: 'something that is no regular file had the name of a partial download',
    at: new Date().toISOString(),
    repo: undefined,
    commit: undefined,
    path: layout.shown(path),
    expected: 'a regular file',
    actual: facts.isSymbolicLink() ? 'a symbolic link' : facts.isDirectory() ? 'a folder' : 'a special file',
    size: facts.size,
  })
}

/** A copy whose note promises and found the same digests, and that is as large as `path`. */
async function findEarlier(layout: Layout, path: string, note: QuarantineNote): Promise<string | undefined> {
  const actual = parseSha256(note.actual)
  if (actual === undefined || note.expected === undefined) return undefined
  const size = await sizeOf(path)
  return size === undefined ? undefined : findCopy(layout, note.expected, { sha256: actual, size })
}

/** A copy of these very bytes, set aside because something else was promised. @throws errno errors */
export async function findCopy(
  layout: Layout,
  expected: string,
  { sha256, size }: { readonly sha256: Sha256; readonly size: number },
): Promise<string | undefined> {
  for (const name of await readdir(layout.quarantine)) {
    if (!name.endsWith('.json') || !name.includes(`-${sha256}`)) continue
    const kept = join(layout.quarantine, `${name.slice(0, -'.json'.length)}.bin`)
    if ((await expectedOf(join(layout.quarantine, name))) === expected && (await sizeOf(kept)) === size) return kept
  }
  return undefined
}

/** What a note says was promised; undefined where it says nothing that can be read. */
async function expectedOf(path: string): Promise<unknown> {
  try {
    const note = JSON.parse(await readFile(path, 'utf8')) as unknown
    return typeof note === 'object' && note !== null && 'expected' in note ? note.expected : undefined
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'EISDIR')) return undefined
    throw error
  }
}

/** The time of a note as part of a file name, without characters that some systems forbid. */
function fileTime(at: string): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? 'unknown-time' : time.toISOString().replaceAll(':', '')
}

async function isTaken(path: string): Promise<boolean> {
  return (await factsOf(path)) !== undefined
}

async function sizeOf(path: string): Promise<number | undefined> {
  const facts = await factsOf(path)
  return facts?.isFile() ? facts.size : undefined
}

async function factsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
