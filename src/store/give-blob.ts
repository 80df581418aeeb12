import { constants, linkSync } from 'node:fs'
import { chmod, copyFile, open } from 'node:fs/promises'
import type { ExportOptions, GiveMethod } from '../blob-port.ts'
import { isErrno, OPEN_EXISTING, OPEN_NEW, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'

/** What a file system answers that cannot share bytes between two files, or not with this place. */
export const CANNOT_SHARE = [
  'EXDEV',
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EINVAL',
  'ENOTTY',
  'EMLINK',
  'EACCES',
]
const COPY_BYTES = 4 * 1024 * 1024
/** Readable like any new file; the umask was asked for once, at the start. */
const FILE_MODE = 0o666 & ~process.umask()

/** In which order the ways are tried. */
export const METHODS_OF: Readonly<Record<ExportOptions['link'], readonly GiveMethod[]>> = {
  auto: ['reflink', 'hardlink', 'copy'],
  never: ['reflink', 'copy'],
  hard: ['hardlink'],
  'reflink-or-hard': ['reflink', 'hardlink'],
}

/**
 * Gives the bytes of a blob to a new file by the first of the methods that works here. Each method is really tried: what a
 * file system says of itself is not believed. A link and a copy are durable but for their name; a clone is after `syncFile`,
 * which takes far less time for many clones after each other than for each as it is made.
 * @param blob path of the blob: a regular file that nobody may write
 * @param to path of a file that does not exist
 * @throws errno errors of the last method
 */
export async function giveBlob(
  blob: string,
  to: string,
  methods: readonly GiveMethod[],
  signal: AbortSignal,
): Promise<GiveMethod> {
  let failure: unknown
  for (const method of methods) {
    signal.throwIfAborted()
    try {
      await give(blob, to, method, signal)
      return method
    } catch (error) {
      if (method === 'copy' || !isErrno(error, ...CANNOT_SHARE)) throw error
      failure = error
    }
  }
  throw failure
}

async function give(blob: string, to: string, method: GiveMethod, signal: AbortSignal): Promise<void> {
  // The blob has been synced when it was published; a second name is made durable with its folder. A link takes less
  // time than asking a thread for it.
  if (method === 'hardlink') return linkSync(blob, to)
  try {
    if (method === 'reflink') await copyFile(blob, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    else await copyBytes(blob, to, signal)
    await chmod(to, FILE_MODE)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) await unlinkIfThere(to).catch(() => undefined)
    throw error
  }
}

async function copyBytes(blob: string, to: string, signal: AbortSignal): Promise<void> {
  await using source = await open(blob, OPEN_EXISTING)
  await using target = await open(to, OPEN_NEW, 0o600)
  const buffer = Buffer.allocUnsafe(COPY_BYTES)
  for (let position = 0; ;) {
    signal.throwIfAborted()
    const { bytesRead } = await source.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) break
    await writeAll(target, buffer.subarray(0, bytesRead), position)
    position += bytesRead
  }
  await target.sync()
}

/** Makes a clone durable. Its bytes are those of the blob, on disk already: a failure cannot have lost any of them. */
export async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, OPEN_EXISTING)
  await handle.sync()
}
