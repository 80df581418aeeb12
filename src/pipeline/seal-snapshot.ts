import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { Manifest, ManifestFile } from '../domain/manifest.ts'
import { printRepo } from '../domain/repo.ts'
import type { FileRow, SnapshotRow } from '../catalog-rows.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

const FILES_PER_PAGE = 2000

/**
 * Seals every snapshot whose wanted files are all held: writes the manifest and its `.sha256` last, and only then says so
 * in the catalog. Killed in between, the next run finds the manifest on disk and uses it.
 */
export async function sealSnapshots(deps: PipelineDeps, signal: AbortSignal): Promise<SnapshotRow[]> {
  const sealed: SnapshotRow[] = []
  for (const snapshot of await deps.catalog.sealable()) {
    signal.throwIfAborted()
    await sealSnapshot(deps, snapshot, signal)
    sealed.push(snapshot)
  }
  return sealed
}

async function sealSnapshot(deps: PipelineDeps, snapshot: SnapshotRow, signal: AbortSignal): Promise<void> {
  const promise = await readPromise(deps, snapshot)
  const files = await readFiles(deps, snapshot)
  const existing = await deps.records.readManifest(snapshot.ref.name, snapshot.commit)
  const isAll = !promise.isRefusing && files.every((file) => file.held)
  const manifest: Manifest =
    existing !== undefined && sameFiles(existing.files, files)
      ? existing
      : {
          format: 'weightvault-manifest/1',
          repo: promise.repo,
          commit: snapshot.commit,
          revision: (existing?.revision ?? 0) + 1,
          endpoint: promise.endpoint,
          sealedAt: nowIso(deps),
          coverage: isAll ? 'all' : 'selection',
          license: promise.license,
          listingSha256: promise.listingSha256,
          files,
        }
  await deps.blobs.assertMounted()
  await deps.records.writeManifest(manifest, signal)
  const held = manifest.files.filter((file) => file.held)
  const bytes = held.reduce((sum, file) => sum + file.size, 0)
  const logged = await deps.catalog.recordSealed(
    snapshot.snapshotId,
    manifest.revision,
    manifest.coverage,
    manifest.sealedAt,
    [
      {
        type: 'snapshot-sealed',
        severity: 'info',
        repo: snapshot.ref,
        at: manifest.sealedAt,
        before: null,
        after: snapshot.commit,
        detail: {
          revision: manifest.revision,
          coverage: manifest.coverage,
          filesHeld: held.length,
          filesListed: manifest.files.length,
          bytesHeld: bytes,
        },
      },
    ],
  )
  announce(deps, logged)
  deps.progress.sealed(snapshot.ref, snapshot.commit, held.length, bytes)
}

/** What a manifest takes from its listing. The listing itself, large for thousands of files, is not held while sealing. */
async function readPromise(
  deps: PipelineDeps,
  snapshot: SnapshotRow,
): Promise<Pick<Manifest, 'repo' | 'endpoint' | 'license' | 'listingSha256'> & { readonly isRefusing: boolean }> {
  const stored = await deps.records.readListing(snapshot.ref.name, snapshot.commit)
  if (stored === undefined) {
    throw new ArchiveError(
      'RECORD_INVALID',
      `the listing of ${printRepo(snapshot.ref)}@${snapshot.commit} is not on disk`,
      {
        hint: 'nothing was sealed; restore the file under listings/ from a backup, or let the next sync read it again',
      },
    )
  }
  const { repo, endpoint, license, refused } = stored.listing
  return { repo, endpoint, license, listingSha256: stored.sha256, isRefusing: refused.length > 0 }
}

async function readFiles(deps: PipelineDeps, snapshot: SnapshotRow): Promise<ManifestFile[]> {
  const files: ManifestFile[] = []
  let after: string | undefined
  for (;;) {
    const page = await deps.catalog.files(snapshot.snapshotId, { after, limit: FILES_PER_PAGE })
    files.push(...page.map(manifestFile))
    if (page.length < FILES_PER_PAGE) return files
    after = page.at(-1)?.path
  }
}

function manifestFile(file: FileRow): ManifestFile {
  const held = file.sha256 !== undefined
  const promised: Sha256 | null = file.lfsOid ?? null
  return {
    path: file.path,
    size: file.size,
    sha256: file.sha256 ?? promised,
    gitOid: file.gitOid ?? null,
    held,
    reason: file.reason,
    attestedBy: held ? file.attestedBy : [],
  }
}

function sameFiles(a: readonly ManifestFile[], b: readonly ManifestFile[]): boolean {
  const text = (files: readonly ManifestFile[]): string =>
    files
      .map((file) => JSON.stringify([file.path, file.size, file.sha256, file.held]))
      .sort()
      .join('\n')
  return text(a) === text(b)
}
