import { randomBytes, randomUUID } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ArchiveError } from '../domain/errors.ts'
import {
  diskError,
  isErrno,
  makeDirectories,
  readRegularFile,
  syncDirectory,
  writeFileOnce,
} from '../lib/fs-durable.ts'
import type { Log } from '../log-port.ts'
import { ARCHIVE_FOLDERS, MARKER_NAME } from './layout.ts'
import { missingMarker } from './store-error.ts'

const FORMAT = 'weightvault-archive/1'
const MAX_MARKER_BYTES = 64 * 1024
/** What a fresh file system or a desktop puts into an empty folder. */
const NOT_OURS = new Set(['lost+found', '.Trash-1000', '.DS_Store', 'System Volume Information'])

export interface ArchiveMarker {
  readonly archiveId: string
  /** ISO time. */
  readonly createdAt: string
  readonly formatVersion: 1
}

/**
 * Opens an archive folder. One that does not exist is made, whole or not at all, when `create` says so; an existing one
 * must have our marker, for without it it is a wrong or unmounted disk.
 * @param options.create the caller means to write: missing sub-folders are made, too
 * @throws ArchiveError ARCHIVE_MISSING_MARKER, ARCHIVE_FORMAT_UNKNOWN, ARCHIVE_READ_ONLY, DISK_FULL, DISK_FAILED
 */
export async function openArchiveFolder(root: string, options: { create: boolean; log?: Log }): Promise<ArchiveMarker> {
  const path = resolve(root)
  if (options.create && !(await exists(path))) await createArchiveFolder(path)
  const marker = await readMarker(path)
  if (options.create) await makeFolders(path)
  await warnIfShared(path, options.log)
  return marker
}

/**
 * Makes an archive in a folder that is empty or does not exist. What an interrupted `initArchive` left is taken over; an
 * archive that is there already is opened.
 * @throws as openArchiveFolder; ARCHIVE_MISSING_MARKER when the folder has other things in it
 */
export async function initArchive(root: string, log?: Log): Promise<ArchiveMarker> {
  const path = resolve(root)
  if ((await exists(path)) && !(await exists(join(path, MARKER_NAME)))) {
    await assertEmpty(path)
    await onRoot(path, async () => {
      await makeAllFolders(path)
      await writeMarker(path)
    })
  }
  return openArchiveFolder(path, { create: true, ...(log === undefined ? {} : { log }) })
}

/**
 * The marker of an archive folder.
 * @throws ArchiveError ARCHIVE_MISSING_MARKER also when it cannot be read as one; ARCHIVE_FORMAT_UNKNOWN
 */
export async function readMarker(root: string): Promise<ArchiveMarker> {
  const path = join(root, MARKER_NAME)
  let bytes: Buffer | undefined
  try {
    bytes = await readRegularFile(path, MARKER_NAME, MAX_MARKER_BYTES)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) throw missingMarker(root, error)
    if (isErrno(error)) throw diskError(error, MARKER_NAME)
    throw damaged(root, error)
  }
  if (bytes === undefined) throw missingMarker(root, undefined)
  return parseMarker(root, bytes.toString())
}

function parseMarker(root: string, text: string): ArchiveMarker {
  let value: Partial<Record<string, unknown>> | null
  try {
    value = JSON.parse(text) as Partial<Record<string, unknown>> | null
  } catch (error) {
    throw damaged(root, error)
  }
  const { format, archiveId, createdAt } = value ?? {}
  if (typeof format === 'string' && format !== FORMAT && format.startsWith('weightvault-archive/')) {
    throw new ArchiveError('ARCHIVE_FORMAT_UNKNOWN', `${root} has the format ${JSON.stringify(format.slice(0, 60))}`, {
      hint: `This version reads ${FORMAT}. Use a newer weightvault; nothing was changed.`,
    })
  }
  if (format !== FORMAT || typeof archiveId !== 'string' || !/^[0-9a-f-]{36}$/.test(archiveId)) throw damaged(root)
  if (typeof createdAt !== 'string' || Number.isNaN(Date.parse(createdAt))) throw damaged(root)
  return { archiveId, createdAt, formatVersion: 1 }
}

function damaged(root: string, cause?: unknown): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_MISSING_MARKER',
    `${join(root, MARKER_NAME)} cannot be read as an archive's marker`,
    {
      cause,
      hint:
        `If this is the right folder, restore the file from a backup or write {"format":"${FORMAT}","archiveId":` +
        '"<any UUID>","createdAt":"<ISO time>"} into it; blobs, listings and manifests are not affected.',
    },
  )
}

/** Built under another name and renamed, so that a crash never leaves a folder without its marker. */
async function createArchiveFolder(root: string): Promise<void> {
  const parts = dirname(root)
    .split('/')
    .filter((part) => part !== '')
  const building = join(dirname(root), `.${basename(root)}.${randomBytes(6).toString('hex')}.new`)
  await onRoot(root, async () => {
    await makeParents(parts)
    try {
      await mkdir(building, { mode: 0o750 })
      await makeAllFolders(building)
      await writeMarker(building)
      // A folder that was made meanwhile, by a mount for example, must not be replaced, even if it is empty.
      if (!(await exists(root))) await rename(building, root)
      await syncDirectory(dirname(root))
    } catch (error) {
      // Another process made the same archive at the same moment and cleaned up; its marker decides.
      if (!(await exists(root))) throw error
    } finally {
      await removeUnfinished(root)
    }
  })
}

async function makeParents(parts: readonly string[]): Promise<void> {
  // Parents that exist may be links (/var/run) and belong to others: only new ones are ours to sync.
  let base = '/'
  let index = 0
  for (; index < parts.length && (await exists(join(base, parts[index]!))); index += 1) base = join(base, parts[index]!)
  await makeDirectories(base, parts.slice(index), new Set())
}

/** Removes what creations of this archive left behind; they hold nothing but empty folders and a marker. */
async function removeUnfinished(root: string): Promise<void> {
  const names = await readdir(dirname(root)).catch(() => [])
  const pattern = /^\.[0-9a-f]{12}\.new$/
  for (const name of names) {
    if (!name.startsWith(`.${basename(root)}.`) || !pattern.test(name.slice(basename(root).length + 1))) continue
    await rm(join(dirname(root), name), { recursive: true, force: true }).catch(() => undefined)
  }
}

async function makeFolders(root: string): Promise<void> {
  await onRoot(root, async () => {
    // Blobs are never made again: without them the marker belongs to half an archive, the other half is not mounted.
    if (!(await exists(join(root, 'blobs', 'sha256')))) {
      throw new ArchiveError('ARCHIVE_MISSING_MARKER', `${root} has a marker but no blobs/sha256`, {
        hint: 'Is a disk not mounted? If the blobs are really gone, make the folder by hand; then they count as lost.',
      })
    }
    for (const folder of ARCHIVE_FOLDERS) {
      if (!(await exists(join(root, folder)))) await makeDirectories(root, folder.split('/'), new Set())
    }
  })
}

async function makeAllFolders(root: string): Promise<void> {
  const known = new Set<string>()
  for (const folder of ARCHIVE_FOLDERS) await makeDirectories(root, folder.split('/'), known)
}

async function writeMarker(root: string): Promise<void> {
  const marker = { format: FORMAT, archiveId: randomUUID(), createdAt: new Date().toISOString() }
  await writeFileOnce(join(root, MARKER_NAME), Buffer.from(`${JSON.stringify(marker)}\n`), 0o640)
}

async function assertEmpty(root: string): Promise<void> {
  const names = await onRoot(root, () => readdir(root, { recursive: true }))
  const isHarmless = (name: string): boolean =>
    ARCHIVE_FOLDERS.includes(name) || NOT_OURS.has(name.split('/')[0]!) || /^\.weightvault\.json\..*\.tmp$/.test(name)
  const other = names.find((name) => !isHarmless(name))
  if (other === undefined) return
  throw new ArchiveError('ARCHIVE_MISSING_MARKER', `${root} is not empty and not a weightvault archive`, {
    hint: `It holds ${JSON.stringify(other.slice(0, 80))}. Name an empty folder, or one that does not exist.`,
  })
}

async function warnIfShared(root: string, log: Log | undefined): Promise<void> {
  const { mode } = await onRoot(root, () => stat(root))
  if ((mode & 0o022) === 0) return
  log?.warn({ path: root, mode: (mode & 0o777).toString(8) }, 'archive folder is writable by other users')
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false
    throw diskError(error, path)
  }
}

async function onRoot<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw diskError(error, root)
  }
}
