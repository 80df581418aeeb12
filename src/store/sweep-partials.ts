import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSha256 } from '../domain/digest.ts'
import { isErrno, unlinkIfThere } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'

const UNNAMED_CHECKS = /^[0-9a-f]{64}\.crc32\.new$/

/**
 * Removes what killed processes left in `partial/` and nobody would ask for again: names of bytes that are published
 * already (the kill came between link and unlink), journals without their partial, and check files without a name.
 * Unfinished bytes stay, and so do small files known by their git oid only: their next download finds them finished.
 * @throws errno errors
 */
export async function sweepPartials(layout: Layout): Promise<void> {
  const names = new Set(await readdir(layout.partial))
  for (const name of names) {
    const sha256 = parseSha256(/^sha256-(.*)\.part$/.exec(name)?.[1])
    if (sha256 === undefined || !(await isSameFile(join(layout.partial, name), layout.blob(sha256)))) continue
    await unlinkIfThere(join(layout.partial, name))
    names.delete(name)
  }
  for (const name of names) {
    if (UNNAMED_CHECKS.test(name)) await removeFile(join(layout.partial, name))
    const key = /^(.*)\.pieces(\.new)?$/.exec(name)?.[1]
    if (key === undefined || (names.has(`${key}.part`) && name.endsWith('.pieces'))) continue
    await removeFile(join(layout.partial, name))
  }
}

/** Links and folders are left for a person to look at. */
async function removeFile(path: string): Promise<void> {
  if ((await lstat(path)).isFile()) await unlinkIfThere(path)
}

async function isSameFile(partial: string, blob: string): Promise<boolean> {
  try {
    const [first, second] = [await lstat(partial, { bigint: true }), await lstat(blob, { bigint: true })]
    return first.isFile() && first.ino === second.ino && first.dev === second.dev
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}
