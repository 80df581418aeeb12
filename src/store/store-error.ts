import { lstatSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ArchiveError } from '../domain/errors.ts'
import { diskError, isErrno } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'

/**
 * Runs disk work and turns what the operating system says into an ArchiveError that names the file. A missing file or
 * folder that has to be there means a wrong or unmounted disk when the archive's marker is gone, too.
 */
export async function onDisk<T>(layout: Layout, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw await storeError(layout, path, error)
  }
}

export async function storeError(layout: Layout, path: string, error: unknown): Promise<Error> {
  if (isErrno(error, 'ENOENT', 'ENOTDIR') && !(await isThere(layout.marker))) return missingMarker(layout.root, error)
  return diskError(error, layout.shown(path))
}

/** Something has a blob's name and is not that blob. */
export function fixityFailed(shown: string, what: string, cause?: unknown): ArchiveError {
  return new ArchiveError('FIXITY_FAILED', `${shown} ${what}`, {
    cause,
    hint: 'It was left as it is. Run `weightvault verify`, then move it away by hand and sync again.',
    details: { path: shown, sha256: basename(shown) },
  })
}

/** What to say when the folder is not, or no longer, the archive that was meant. */
export function missingMarker(root: string, cause: unknown): ArchiveError {
  if (isNowhere(root)) {
    return new ArchiveError('ARCHIVE_MISSING_MARKER', `there is no archive at ${root}`, {
      cause,
      hint:
        '`weightvault init` makes one there, or name yours with --config or --archive; if it lies on another disk, ' +
        'mount that first. Nothing was changed.',
      details: { root },
    })
  }
  return new ArchiveError(
    'ARCHIVE_MISSING_MARKER',
    `${root} is not a weightvault archive: weightvault.json is missing`,
    {
      cause,
      hint:
        'Most likely the disk is not mounted, or another one is mounted there: mount it and try again; nothing was ' +
        'changed. For a new archive name a folder that does not exist, or run `weightvault init` on an empty one.',
      details: { root },
    },
  )
}

function isNowhere(root: string): boolean {
  try {
    return lstatSync(root, { throwIfNoEntry: false }) === undefined
  } catch {
    return false
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch {
    return false
  }
}
