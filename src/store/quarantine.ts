import { lstat, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseSha256 } from '../domain/digest.ts'
import { isErrno, syncDirectory, unlinkIfThere, writeFileOnce } from '../lib/fs-durable.ts'
import type { QuarantineNote } from '../ports.ts'
import type { Layout } from './layout.ts'

const MAX_SAME_NAMES = 1000

/**
 * Moves something into quarantine under `<time>-<sha or name>.bin`, after its note is durable beside it. Nothing is
 * followed, opened or deleted.
 * @returns where it is now; undefined when there was nothing to move
 * @throws errno errors
 */
export async function moveToQuarantine(
  layout: Layout,
  path: string,
  note: QuarantineNote,
): Promise<string | undefined> {
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

/** The time of a note as part of a file name, without characters that some systems forbid. */
function fileTime(at: string): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? 'unknown-time' : time.toISOString().replaceAll(':', '')
}

async function isTaken(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
