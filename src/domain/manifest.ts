import type { CommitId, GitOid, HubId, Sha256 } from './digest.ts'
import { isPortableName, pathsBothFileAndFolder } from './file-name.ts'
import type { LicenseFacts, RepoRef } from './repo.ts'

export type Coverage = 'all' | 'selection'

/** Who vouched for a file's bytes besides our own SHA-256. */
export const ATTESTORS = ['hub-lfs-oid', 'hub-git-oid', 'witness'] as const
export type Attestor = (typeof ATTESTORS)[number]

/** One file of a manifest: what we verified, or why we do not hold it. */
export interface ManifestFile {
  readonly path: string
  readonly size: number
  /** Computed by us from the bytes on disk; for a file not held the LFS promise, or null. */
  readonly sha256: Sha256 | null
  readonly gitOid: GitOid | null
  readonly held: boolean
  /** Code of the policy's reason. */
  readonly reason: string
  readonly attestedBy: readonly Attestor[]
}

/** What we verified for a commit. Its presence is what makes a snapshot sealed. */
export interface Manifest {
  readonly format: 'weightvault-manifest/1'
  readonly repo: RepoRef & { readonly hubId: HubId }
  readonly commit: CommitId
  /** 1 for the first manifest of a commit; a later, wider selection adds the next number and never changes the old. */
  readonly revision: number
  readonly endpoint: string
  readonly sealedAt: string
  readonly coverage: Coverage
  readonly license: LicenseFacts
  /** SHA-256 of the listing file this manifest was made from. */
  readonly listingSha256: Sha256
  readonly files: readonly ManifestFile[]
}

/** Files of one piece of a manifest's text. */
const FILES_PER_PIECE = 500

/** The text of a manifest file: JSON, one file a line. */
export function printManifest(manifest: Manifest): string {
  return [...manifestPieces(manifest)].join('')
}

/** The same in pieces: the text of thousands of files at once takes several times its size in memory. */
export function* manifestPieces(manifest: Manifest): Generator<string> {
  const { files, ...head } = manifest
  yield `${JSON.stringify(head).slice(0, -1)},\n"files":[\n`
  for (let at = 0; at < files.length; at += FILES_PER_PIECE) {
    const lines = files.slice(at, at + FILES_PER_PIECE).map((file) => JSON.stringify(file))
    yield `${at === 0 ? '' : ',\n'}${lines.join(',\n')}`
  }
  yield '\n]}\n'
}

/**
 * The text of a `.sha256` file: one line a held file in `sha256sum`'s format, so that `sha256sum -c` works in a restored
 * folder. Files whose name may not exist on disk are left out; the manifest has them.
 */
export function printSha256Sums(manifest: Manifest): string {
  return [...sha256SumsPieces(manifest)].join('')
}

/** The same in pieces. */
export function* sha256SumsPieces(manifest: Manifest): Generator<string> {
  const clashing = pathsBothFileAndFolder(manifest.files.map((file) => file.path))
  for (let at = 0; at < manifest.files.length; at += FILES_PER_PIECE) {
    yield manifest.files
      .slice(at, at + FILES_PER_PIECE)
      .filter((file) => file.held && file.sha256 !== null && isPortableName(file.path) && !clashing.has(file.path))
      .map((file) => `${file.sha256}  ${sumsName(file.path)}\n`)
      .join('')
  }
}

/** `sha256sum` reads its standard input for the name `-`. */
function sumsName(path: string): string {
  return path === '-' ? './-' : path
}
