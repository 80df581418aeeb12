import type { FileRow, SnapshotRow } from '../archive-rows.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { Manifest, ManifestFile } from '../domain/manifest.ts'
import { printRepo } from '../domain/repo.ts'
import { inLanes } from '../lib/in-lanes.ts'
import { announce, nowIso, raise, type PipelineDeps } from './deps.ts'

/** So few that a page is garbage again before it counts as long-lived. */
const FILES_PER_PAGE = 500
/** Looks at blobs side by side: each waits for another thread. */
const PROVE_LANES = 16

/** What one snapshot's own damage is: it keeps that snapshot from being sealed and nothing else from going on. */
export const SEALING_BLOCKS = ['RECORD_INVALID', 'FIXITY_FAILED'] as const

/**
 * Seals every snapshot whose wanted files are all held: writes the manifest and its `.sha256` last, and only then says so
 * in the catalog. Killed in between, the next run finds the manifest on disk and uses it. A snapshot whose own records
 * or blobs are damaged is blocked with an event; the next pass or start tries it again.
 */
export async function sealSnapshots(deps: PipelineDeps, signal: AbortSignal): Promise<SnapshotRow[]> {
  const sealed: SnapshotRow[] = []
  for (const snapshot of await deps.catalog.sealable()) {
    signal.throwIfAborted()
    try {
      await sealSnapshot(deps, snapshot, signal)
      sealed.push(snapshot)
    } catch (error) {
      const isOwn = error instanceof ArchiveError && SEALING_BLOCKS.some((code) => code === error.code)
      if (!isOwn) throw error
      await block(deps, snapshot, error)
    }
  }
  return sealed
}

async function block(deps: PipelineDeps, snapshot: SnapshotRow, error: ArchiveError): Promise<void> {
  const { ref, commit } = snapshot
  const fields = { component: 'seal', repo: printRepo(ref), commit, code: error.code, err: error }
  deps.log.error(fields, 'snapshot not sealed')
  await deps.catalog.blockSnapshot(snapshot.snapshotId, error.code)
  const [last] = await deps.catalog.events({ repo: ref.name, type: 'fixity-failed', limit: 1 })
  if (last?.after === error.code && last.detail['commit'] === commit) return
  await raise(deps, [
    {
      type: 'fixity-failed',
      severity: 'critical',
      repo: ref,
      at: nowIso(deps),
      before: null,
      after: error.code,
      detail: { commit, message: error.message, hint: error.hint },
    },
  ])
}

async function sealSnapshot(deps: PipelineDeps, snapshot: SnapshotRow, signal: AbortSignal): Promise<void> {
  const promise = await readPromise(deps, snapshot)
  const existing = await deps.records.readManifest(snapshot.ref.name, snapshot.commit)
  const files = await provePresent(deps, snapshot, keepHeld(await readFiles(deps, snapshot), existing), signal)
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
  const stored = await deps.records.readListingHead(snapshot.ref.name, snapshot.commit)
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

/**
 * A file that an earlier manifest of the commit holds stays held, whatever the policy wants today or a lost catalog
 * forgot: a manifest never takes back what it proved.
 */
function keepHeld(files: readonly ManifestFile[], existing: Manifest | undefined): ManifestFile[] {
  const before = new Map(existing?.files.filter((file) => file.held).map((file) => [file.path, file]))
  return files.map((file) => (file.held ? file : (before.get(file.path) ?? file)))
}

/** The catalog may believe in a blob that somebody removed: what is not on disk with its size is not sealed. */
async function provePresent(
  deps: PipelineDeps,
  snapshot: SnapshotRow,
  files: readonly ManifestFile[],
  signal: AbortSignal,
): Promise<readonly ManifestFile[]> {
  await inLanes(files, PROVE_LANES, signal, async (file) => {
    if (!file.held || file.sha256 === null) return
    const size = await deps.blobs.sizeOf(file.sha256)
    if (size === file.size) return
    const what = size === undefined ? 'is not on disk' : `has ${size} bytes instead of ${file.size}`
    const name = `${displayName(file.path)} of ${printRepo(snapshot.ref)}`
    throw new ArchiveError('FIXITY_FAILED', `the blob of ${name} ${what}: ${file.sha256}`, {
      hint: 'nothing was sealed; put the blob back from a backup and run sync, or move the catalog away to fetch it again',
    })
  })
  return files
}

function sameFiles(a: readonly ManifestFile[], b: readonly ManifestFile[]): boolean {
  const text = (files: readonly ManifestFile[]): string =>
    files
      .map((file) => JSON.stringify([file.path, file.size, file.sha256, file.held]))
      .sort()
      .join('\n')
  return text(a) === text(b)
}
