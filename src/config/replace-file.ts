import { randomBytes } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { OPEN_NEW, syncDirectory } from '../lib/fs-durable.ts'

/**
 * Replaces a file's content in one step: after a crash it has the old text or the new one, never a part. Keeps mode and
 * (for root) owner; follows a symbolic link to the file it names. A file that does not exist is made with mode 0600.
 */
export async function replaceFile(path: string, text: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const target = await realpath(path).catch(async () => join(await realpath(dirname(path)), basename(path)))
  const folder = dirname(target)
  const old = await stat(target).catch(() => undefined)
  const temporary = join(folder, `.${randomBytes(8).toString('hex')}.tmp`)
  const file = await open(temporary, OPEN_NEW, 0o600)
  try {
    try {
      await writeThrough(file, text, old)
    } finally {
      await file.close()
    }
    signal.throwIfAborted()
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(folder)
}

interface Owned {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

async function writeThrough(file: FileHandle, text: string, old: Owned | undefined): Promise<void> {
  await file.writeFile(text)
  if (old !== undefined) {
    // Only root may give files away; without this a service could no longer read what root edited.
    if (process.getuid?.() === 0) await file.chown(old.uid, old.gid)
    await file.chmod(old.mode & 0o777)
  }
  await file.sync()
}
