import type { CommitId, Sha256 } from './digest.ts'
import { escapedName, judgeName, pathsBothFileAndFolder } from './file-name.ts'
import { matchGlob } from './glob.ts'
import type { Manifest, ManifestFile } from './manifest.ts'
import { splitRepoName, type RepoRef } from './repo.ts'

/**
 * One thing to be made below a folder. Paths are relative, portable and differ from each other; nothing of them comes
 * from upstream unchecked.
 */
export type ExportEntry =
  /** The bytes of a held blob. */
  | { readonly kind: 'blob'; readonly path: string; readonly sha256: Sha256; readonly size: number }
  /** A relative symbolic link to a `blob` entry of the same plan. */
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  /** A text that says which commit a branch is at. One that is there already and says something else is left alone. */
  | { readonly kind: 'ref'; readonly path: string; readonly commit: CommitId }

/** What one snapshot becomes on disk, and what of it cannot. */
export interface ExportPlan {
  readonly entries: readonly ExportEntry[]
  /** Paths that must not be there, because who reads the folder would believe them rather than the files. */
  readonly forbidden: readonly string[]
  /** Files that get another name than the repository gives them. */
  readonly escaped: readonly { readonly path: string; readonly as: string }[]
  /** Held files that are never made on disk; their bytes are in the archive under their SHA-256. */
  readonly refused: readonly { readonly path: string; readonly sha256: Sha256; readonly reason: string }[]
  /** Files of the repository, of those asked for, that the archive does not hold. */
  readonly notHeld: readonly { readonly path: string; readonly size: number; readonly reason: string }[]
}

interface NamedFile {
  readonly file: ManifestFile & { readonly sha256: Sha256 }
  /** The name on disk. */
  readonly as: string
}

/** The files of a manifest under their own names. @param include globs on the path; none = every file */
export function planPlainFolder(manifest: Manifest, include: readonly string[]): ExportPlan {
  const { named, ...rest } = nameFiles(manifest, include)
  const entries = named.map(({ file, as }): ExportEntry => ({ kind: 'blob', path: as, ...content(file) }))
  return { entries, forbidden: [], ...rest }
}

/**
 * The files of a manifest as the Hub's clients keep them: `blobs` named by etag, `snapshots/<commit>` with relative links
 * to them, `refs/main`.
 */
export function planHubCache(manifest: Manifest, include: readonly string[]): ExportPlan {
  const { named, ...rest } = nameFiles(manifest, include)
  const top = hubCacheFolder(manifest.repo)
  const blobs = new Map<string, ExportEntry>()
  const links: ExportEntry[] = []
  for (const { file, as } of named) {
    const etag = etagOf(file)
    const path = `${top}/blobs/${etag}`
    blobs.set(path, { kind: 'blob', path, ...content(file) })
    const up = '../'.repeat(as.split('/').length + 1)
    links.push({ kind: 'link', path: `${top}/snapshots/${manifest.commit}/${as}`, target: `${up}blobs/${etag}` })
  }
  const ref: ExportEntry = { kind: 'ref', path: `${top}/refs/main`, commit: manifest.commit }
  const forbidden = named.map(({ as }) => `${top}/.no_exist/${manifest.commit}/${as}`)
  return { entries: [...blobs.values(), ...links, ...(links.length > 0 ? [ref] : [])], forbidden, ...rest }
}

/** The folder of a repository in a cache of the Hub's clients: `models--Qwen--Qwen3-0.6B`. */
export function hubCacheFolder(ref: RepoRef): string {
  const { owner, repo } = splitRepoName(ref.name)
  return `${ref.type}s--${owner}--${repo}`
}

/** The validator that the Hub sends with a file, which names its blob: SHA-256 of an LFS file, git id of another. */
function etagOf(file: NamedFile['file']): string {
  const isLfs = file.attestedBy.includes('hub-lfs-oid') || file.gitOid === null
  return isLfs ? file.sha256 : file.gitOid
}

function content(file: NamedFile['file']): { sha256: Sha256; size: number } {
  return { sha256: file.sha256, size: file.size }
}

function nameFiles(
  manifest: Manifest,
  include: readonly string[],
): { named: NamedFile[] } & Pick<ExportPlan, 'escaped' | 'refused' | 'notHeld'> {
  const wanted = manifest.files.filter(
    (file) => include.length === 0 || include.some((pattern) => matchGlob(pattern, file.path)),
  )
  const clashing = pathsBothFileAndFolder(manifest.files.map((file) => file.path))
  const taken = takenNames(manifest.files)
  const plan = {
    named: [] as NamedFile[],
    escaped: [] as { path: string; as: string }[],
    refused: [] as { path: string; sha256: Sha256; reason: string }[],
    notHeld: [] as { path: string; size: number; reason: string }[],
  }
  for (const file of wanted) {
    const { path, size, sha256 } = file
    if (!file.held || sha256 === null) {
      plan.notHeld.push({ path, size, reason: file.reason })
      continue
    }
    const name = clashing.has(path) ? { reason: 'is a file and a folder at once' } : nameOnDisk(path, taken)
    if ('reason' in name) {
      plan.refused.push({ path, sha256, reason: name.reason })
      continue
    }
    if (name.as !== path) plan.escaped.push({ path, as: name.as })
    plan.named.push({ file: { ...file, sha256 }, as: name.as })
  }
  return plan
}

interface TakenNames {
  readonly files: ReadonlySet<string>
  readonly folders: ReadonlySet<string>
}

function takenNames(files: readonly ManifestFile[]): TakenNames {
  const folders = new Set<string>()
  for (const { path } of files) {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1))
      folders.add(path.slice(0, slash))
  }
  return { files: new Set(files.map((file) => file.path)), folders }
}

/** An escaped name must be nobody's own name, and go through no file. */
function nameOnDisk(path: string, taken: TakenNames): { as: string } | { reason: string } {
  const verdict = judgeName(path)
  if (verdict.kind === 'plain') return { as: path }
  if (verdict.kind !== 'escape') return { reason: verdict.reason }
  const as = escapedName(path)
  if (as === undefined) return { reason: `${verdict.reason}, and is too long to be escaped` }
  const parts = as.split('/')
  const meetsFile = parts.some((_part, at) => taken.files.has(parts.slice(0, at + 1).join('/')))
  if (meetsFile || taken.folders.has(as)) return { reason: `${verdict.reason}, and its escaped name is another's` }
  return { as }
}
