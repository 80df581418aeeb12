import { createHash } from 'node:crypto'
import { lstat, mkdir, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { isErrno } from '../lib/fs-durable.ts'
import { OpenFolder } from '../lib/open-folder.ts'
import { refused } from './export-error.ts'
import type { Layout } from './layout.ts'

/** The folder that is exported to. */
export interface Target {
  /** Absolute path without links. */
  readonly root: string
  /** The folder itself; undefined when it is not there yet. */
  readonly folder: OpenFolder | undefined
  /** Where the files are built: in the folder, or beside its future place. On the same disk in any case. */
  readonly base: OpenFolder
  /** Name of the folder in `base`, while it is not there. */
  readonly name: string
}

/** Finds out what a path given by a person is. Missing parents are made. @throws ArchiveError RESTORE_REFUSED; errno errors */
export async function openTarget(layout: Layout, to: string, stack: AsyncDisposableStack): Promise<Target> {
  const isThere = await lstat(to).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    },
  )
  if (!isThere) await mkdir(dirname(to), { recursive: true })
  const root = isThere
    ? await realpath(to).catch(() => {
        throw refused(`${to} is a link to nowhere`)
      })
    : join(await realpath(dirname(to)), basename(to))
  const archive = await realpath(layout.root)
  if (root === archive || root.startsWith(archive + sep)) throw refused(`${to} is inside the archive`)
  if (!isThere) {
    const base = stack.use(await OpenFolder.open(dirname(root)))
    return { root, folder: undefined, base, name: basename(root) }
  }
  if (!(await lstat(root)).isDirectory()) throw refused(`${to} is no folder`)
  const folder = stack.use(await OpenFolder.open(root))
  return { root, folder, base: folder, name: '' }
}

/** Where the files of one target are built. Its name is the same in every call, so that a later one finds it again. */
export interface Staging {
  /** Finished files and folders, as in the target. */
  readonly tree: OpenFolder
  /** Files under way. */
  readonly unfinished: OpenFolder
  /** Path of `tree`, through open folders only. */
  readonly treePath: string
  /** Removes it with all that is still in it. */
  remove(): Promise<void>
}

/** @throws ArchiveError RESTORE_REFUSED where the name belongs to somebody else */
export async function openStaging(target: Target, stack: AsyncDisposableStack): Promise<Staging> {
  const name = `.weightvault-${createHash('sha256').update(target.root).digest('hex').slice(0, 16)}`
  const path = join(target.base.path, name)
  try {
    await mkdir(target.base.at(name), { mode: 0o700 })
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    const facts = await lstat(target.base.at(name))
    const isOurs = facts.isDirectory() && (process.geteuid === undefined || facts.uid === process.geteuid())
    if (!isOurs) throw refused(`${path} is where the files are built, and it is not ours`)
  }
  const folder = stack.use(await target.base.child(name))
  return {
    tree: stack.use(await folder.makeChild('tree', 0o777)),
    unfinished: stack.use(await folder.makeChild('unfinished', 0o700)),
    treePath: folder.at('tree'),
    remove: () => rm(target.base.at(name), { recursive: true, force: true }),
  }
}
