import { createHash } from 'node:crypto'
import { treeFileJson } from './repo-json.ts'
import type { SnapshotView, ViewFile } from './snapshot-view.ts'

/** A folder of a commit, with what is directly in it. */
interface Folder {
  readonly path: string
  readonly folders: Map<string, Folder>
  readonly files: Map<string, ViewFile>
}

/**
 * The entries of a folder (`''` for all), folders first, each kind in order of path: as the Hub has them.
 * @returns undefined where the commit has no such folder
 */
export function treeEntries(
  snapshot: SnapshotView,
  path: string,
  recursive: boolean,
): Record<string, unknown>[] | undefined {
  const folder = folderAt(rootOf(snapshot), path)
  if (folder === undefined) return undefined
  const folders = recursive ? foldersBelow(folder) : [...folder.folders.values()]
  const files = recursive ? filesBelow(snapshot, path) : [...folder.files.values()]
  return [...folders.map(folderJson), ...files.map(treeFileJson)]
}

/** The entries of these paths, each a file or a folder; what is neither is left out. */
export function entriesOf(snapshot: SnapshotView, paths: readonly string[]): Record<string, unknown>[] {
  const root = rootOf(snapshot)
  return [...new Set(paths)].flatMap((path) => {
    const file = snapshot.files.get(path)
    if (file !== undefined) return [treeFileJson(file)]
    const folder = path === '' ? undefined : folderAt(root, path)
    return folder === undefined ? [] : [folderJson(folder)]
  })
}

const roots = new WeakMap<SnapshotView, Folder>()

function rootOf(snapshot: SnapshotView): Folder {
  const made = roots.get(snapshot)
  if (made !== undefined) return made
  const root: Folder = { path: '', folders: new Map(), files: new Map() }
  for (const file of snapshot.files.values()) {
    const parts = file.path.split('/')
    const name = parts.pop()!
    let at = root
    for (const part of parts) {
      let next = at.folders.get(part)
      if (next === undefined) {
        next = { path: at === root ? part : `${at.path}/${part}`, folders: new Map(), files: new Map() }
        at.folders.set(part, next)
      }
      at = next
    }
    at.files.set(name, file)
  }
  roots.set(snapshot, root)
  return root
}

function folderAt(root: Folder, path: string): Folder | undefined {
  let at: Folder | undefined = root
  for (const part of path === '' ? [] : path.split('/')) at = at?.folders.get(part)
  return at
}

function foldersBelow(folder: Folder): Folder[] {
  const found: Folder[] = []
  const open = [folder]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    found.push(...next.folders.values())
    open.push(...next.folders.values())
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

function filesBelow(snapshot: SnapshotView, path: string): ViewFile[] {
  const all = [...snapshot.files.values()]
  return path === '' ? all : all.filter((file) => file.path.startsWith(`${path}/`))
}

function folderJson(folder: Folder): Record<string, unknown> {
  return { type: 'directory', oid: treeOid(folder), size: 0, path: folder.path }
}

const oids = new WeakMap<Folder, string>()

/**
 * Git's id of the folder, where every file in it is a plain one: modes are not part of what the Hub lists. Clients use it
 * as a name and nothing else.
 */
function treeOid(folder: Folder): string {
  const known = oids.get(folder)
  if (known !== undefined) return known
  const entries = [
    ...[...folder.folders].map(([name, below]) => ({ name, key: `${name}/`, mode: '40000', oid: treeOid(below) })),
    ...[...folder.files].map(([name, file]) => ({ name, key: name, mode: '100644', oid: file.gitOid ?? '' })),
  ].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  const body = Buffer.concat(
    entries.map(({ mode, name, oid }) => Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')])),
  )
  const oid = createHash('sha1').update(`tree ${body.length}\0`).update(body).digest('hex')
  oids.set(folder, oid)
  return oid
}
