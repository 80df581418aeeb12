import type { SnapshotRow } from '../archive-rows.ts'
import type { ExportOptions, ExportResult } from '../blob-port.ts'
import type { CommitId } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { hubCacheFolder, planHubCache, planPlainFolder, type ExportPlan } from '../domain/export-plan.ts'
import type { Manifest } from '../domain/manifest.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import type { OpenedArchive } from '../opened-archive.ts'

export const LAYOUTS = ['folder', 'hf-cache'] as const
export type RestoreLayout = (typeof LAYOUTS)[number]

export interface RestoreRequest {
  /** Absolute path: the folder itself, or for `hf-cache` the cache it is put into. */
  readonly to: string
  readonly as: RestoreLayout
  /** Globs on the path; none = every file. */
  readonly include: readonly string[]
  readonly export: ExportOptions
}

export interface Restored extends ExportResult, Pick<ExportPlan, 'escaped' | 'refused' | 'notHeld'> {
  readonly ref: RepoRef
  readonly commit: CommitId
  /** The folder with the files of the repository. */
  readonly folder: string
}

/**
 * The snapshot to give back where no commit was named: the newest if it is sealed, else the last that was.
 * @throws ArchiveError SNAPSHOT_NOT_SEALED
 */
export function newestSealed(snapshots: readonly SnapshotRow[], newest: SnapshotRow | undefined): SnapshotRow {
  const isSealed = (one: SnapshotRow): boolean => one.manifestRevision > 0
  const found = newest !== undefined && isSealed(newest) ? newest : snapshots.find(isSealed)
  if (found !== undefined) return found
  const [any] = snapshots
  throw notSealed(any === undefined ? 'no commit of it' : `${printRepo(any.ref)}: none of its commits`)
}

function notSealed(what: string): ArchiveError {
  return new ArchiveError('SNAPSHOT_NOT_SEALED', `${what} is sealed yet: a part of its files would be no model`, {
    hint: '`weightvault why REPO` tells what is missing; `weightvault sync REPO` fetches it',
  })
}

/**
 * Gives the held files of a sealed snapshot back. Reads the manifest and the blobs and nothing else: no hub, and of the
 * catalog only what led to the snapshot.
 * @throws ArchiveError SNAPSHOT_NOT_SEALED, RECORD_INVALID, and what BlobStore.exportFiles throws
 */
export async function restoreSnapshot(
  archive: Pick<OpenedArchive, 'records' | 'blobs'>,
  snapshot: { readonly ref: RepoRef; readonly commit: CommitId },
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<Restored> {
  const manifest = await archive.records.readManifest(snapshot.ref.name, snapshot.commit)
  if (manifest === undefined) throw notSealed(`${printRepo(snapshot.ref)} @ ${snapshot.commit.slice(0, 10)}`)
  const plan = planOf(manifest, request)
  if (!plan.entries.some((entry) => entry.kind === 'blob')) {
    throw new ArchiveError('FILE_UNKNOWN', `${printRepo(snapshot.ref)}: no held file to restore`, {
      hint: 'nothing was made; `weightvault show` lists the files that are held, --include chooses among them',
    })
  }
  const result = await archive.blobs.exportFiles(request.to, plan, request.export, signal)
  const { escaped, refused, notHeld } = plan
  const inside = request.as === 'hf-cache' ? `/${hubCacheFolder(manifest.repo)}/snapshots/${manifest.commit}` : ''
  const { type, name } = manifest.repo
  return {
    ...result,
    ref: { type, name },
    commit: manifest.commit,
    folder: `${result.to}${inside}`,
    escaped,
    refused,
    notHeld,
  }
}

function planOf(manifest: Manifest, { as, include }: RestoreRequest): ExportPlan {
  return as === 'hf-cache' ? planHubCache(manifest, include) : planPlainFolder(manifest, include)
}
