/** Tree entries of a commit: files with their ids, and the folders that follow from the paths. */
import { treeId } from './git-ids.ts'
import { byText, type Commit, type Entry } from './repo-state.ts'
import { fileIds } from './stored-file.ts'

/** A row of a tree before it is written out. */
export type TreeRow = { kind: 'directory'; path: string } | { kind: 'file'; path: string; entry: Entry }

/** True for a path that git itself would accept; only such paths make folders. */
export function isPlainPath(path: string): boolean {
  return !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

/**
 * Rows below a folder (`''` for the top): folders first, then files, each in path order.
 * @returns undefined when there is no such folder
 */
export function rowsBelow(commit: Commit, folder: string, isRecursive: boolean): readonly TreeRow[] | undefined {
  const cache = rowCache.get(commit) ?? new Map<string, readonly TreeRow[] | undefined>()
  rowCache.set(commit, cache)
  const key = `${isRecursive} ${folder}`
  const rows = cache.has(key) ? cache.get(key) : computeRows(commit, folder, isRecursive)
  cache.set(key, rows)
  return rows
}

const rowCache = new WeakMap<Commit, Map<string, readonly TreeRow[] | undefined>>()

function computeRows(commit: Commit, folder: string, isRecursive: boolean): readonly TreeRow[] | undefined {
  const prefix = folder === '' ? '' : `${folder}/`
  const folders = new Set<string>()
  const files: TreeRow[] = []
  for (const [path, entry] of commit.entries) {
    if (!path.startsWith(prefix)) continue
    const below = path.slice(prefix.length)
    const parts = isPlainPath(path) ? below.split('/') : [below]
    for (let depth = 1; depth < (isRecursive ? parts.length : Math.min(parts.length, 2)); depth++) {
      folders.add(prefix + parts.slice(0, depth).join('/'))
    }
    if (isRecursive || parts.length === 1) files.push({ kind: 'file', path, entry })
  }
  if (folder !== '' && files.length === 0 && folders.size === 0) return undefined
  const directories = [...folders].sort(byText).map((path): TreeRow => ({ kind: 'directory', path }))
  return [...directories, ...files.sort((a, b) => byText(a.path, b.path))]
}

/** The row of one path, file or folder. */
export function rowAt(commit: Commit, path: string): TreeRow | undefined {
  const entry = commit.entries.get(path)
  if (entry !== undefined) return { kind: 'file', path, entry }
  const prefix = `${path}/`
  for (const other of commit.entries.keys()) {
    if (other.startsWith(prefix) && isPlainPath(other)) return { kind: 'directory', path }
  }
  return undefined
}

/** One row as tree and paths-info send it; `expand` adds the last commit and the security status. */
export async function treeEntry(
  row: TreeRow,
  commit: Commit,
  expand: ((commitId: string) => Commit | undefined) | undefined,
): Promise<Record<string, unknown>> {
  const last = expand?.(lastCommitOf(row, commit)) ?? commit
  const lastCommit = expand && { lastCommit: { id: last.id, title: last.title, date: last.date } }
  if (row.kind === 'directory') {
    return { type: 'directory', oid: await folderId(commit, row.path), size: 0, path: row.path, ...lastCommit }
  }
  const { file } = row.entry
  const { gitOid, lfs } = await fileIds(file)
  const size = file.content.size
  return {
    type: 'file',
    oid: gitOid,
    size,
    ...(lfs && { lfs: { oid: lfs.sha256, size, pointerSize: lfs.pointer.length }, xetHash: lfs.xetHash }),
    path: row.path,
    ...lastCommit,
    ...(expand && { securityFileStatus: { status: 'safe', avScan: { status: 'safe' }, pickleImportScan: null } }),
    ...file.treeOverride,
  }
}

function lastCommitOf(row: TreeRow, commit: Commit): string {
  if (row.kind === 'file') return row.entry.lastCommit
  for (const [path, entry] of commit.entries) if (path.startsWith(`${row.path}/`)) return entry.lastCommit
  return commit.id
}

const folderIds = new WeakMap<Commit, Map<string, Promise<string>>>()

function folderId(commit: Commit, folder: string): Promise<string> {
  const known = folderIds.get(commit) ?? new Map<string, Promise<string>>()
  folderIds.set(commit, known)
  const id = known.get(folder) ?? computeFolderId(commit, folder)
  known.set(folder, id)
  return id
}

async function computeFolderId(commit: Commit, folder: string): Promise<string> {
  const parts: { name: string; oid: string }[] = []
  for (const row of rowsBelow(commit, folder, true) ?? []) {
    if (row.kind === 'file') parts.push({ name: row.path, oid: (await fileIds(row.entry.file)).gitOid })
  }
  return treeId(parts.map(({ name, oid }) => ({ name: name.slice(folder.length + 1), oid })))
}
