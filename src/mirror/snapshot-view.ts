import type { SnapshotRow } from '../archive-rows.ts'
import type { CommitId, GitOid, HubId, Sha256 } from '../domain/digest.ts'
import { judgeName, pathsBothFileAndFolder } from '../domain/file-name.ts'
import type { Listing, Sibling } from '../domain/listing.ts'
import type { Manifest, ManifestFile } from '../domain/manifest.ts'
import type { Gate } from '../domain/repo.ts'

/** One file of a sealed commit as clients see it. */
export interface ViewFile {
  readonly path: string
  readonly size: number
  /** Of the content, or of the pointer of an LFS file. */
  readonly gitOid: GitOid | undefined
  readonly isLfs: boolean
  /** Of the content, where we or the Hub know it. */
  readonly sha256: Sha256 | undefined
  readonly held: boolean
  /** Code of why it is not held. */
  readonly reason: string
}

/** One sealed commit: its manifest, joined with what its listing says besides. Never a part of one. */
export interface SnapshotView {
  readonly commit: CommitId
  readonly hubId: HubId
  readonly sealedAt: string
  readonly coverage: Manifest['coverage']
  /** As the Hub had it when the commit was listed; undefined where the listing cannot be read. */
  readonly gated: Gate | undefined
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
  readonly tags: readonly string[]
  readonly cardData: Readonly<Record<string, unknown>> | undefined
  /** In order of path. Names that no client may be handed (`../x`, both file and folder) are not among them. */
  readonly files: ReadonlyMap<string, ViewFile>
  /** How many names were left out. */
  readonly namesLeftOut: number
  readonly row: SnapshotRow
}

/** Joins a manifest with its listing; without one the manifest alone says less, and nothing wrong. */
export function viewSnapshot(row: SnapshotRow, manifest: Manifest, listing: Listing | undefined): SnapshotView {
  const listed = new Map(listing?.files.map((file) => [file.path, file]))
  const clashing = pathsBothFileAndFolder(manifest.files.map((file) => file.path))
  const shown = manifest.files
    .filter(({ path }) => !clashing.has(path) && !['keep-only', 'refuse'].includes(judgeName(path).kind))
    .map((file) => viewFile(file, listed.get(file.path)))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  return {
    commit: manifest.commit,
    hubId: manifest.repo.hubId,
    sealedAt: manifest.sealedAt,
    coverage: manifest.coverage,
    gated: listing?.gated,
    createdAt: listing?.createdAt,
    lastModified: listing?.lastModified,
    tags: listing?.tags ?? [],
    cardData: listing?.cardData,
    files: new Map(shown.map((file) => [file.path, file])),
    namesLeftOut: manifest.files.length - shown.length,
    row,
  }
}

function viewFile(file: ManifestFile, listed: Sibling | undefined): ViewFile {
  const isLfs = listed?.isLfs ?? file.attestedBy.includes('hub-lfs-oid')
  return {
    path: file.path,
    size: file.size,
    gitOid: listed?.gitOid ?? file.gitOid ?? undefined,
    isLfs,
    sha256: file.sha256 ?? listed?.lfsOid,
    held: file.held,
    reason: file.reason,
  }
}

/** The Hub's ETag of a file, with its quotes: clients name their cached files by it. */
export function etagOf(file: ViewFile): string {
  return `"${(file.isLfs ? file.sha256 : file.gitOid) ?? file.sha256 ?? ''}"`
}
