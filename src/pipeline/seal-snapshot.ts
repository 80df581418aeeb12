import type { FileRow, SnapshotRow } from '../archive-rows.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { ManifestDraft, type Manifest, type ManifestFile, type ManifestHead } from '../domain/manifest.ts'
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
  const { files, isAsBefore } = await draftFiles(deps, snapshot, existing, signal)
  const sealed =
    existing !== undefined && isAsBefore
      ? asItWas(existing)
      : { head: nextHead(deps, snapshot, promise, existing, files), files }
  await deps.blobs.assertMounted()
  await deps.records.writeManifest(sealed.head, sealed.files, signal)
  const { revision, coverage, sealedAt } = sealed.head
  const { held, filesListed } = sealed.files
  const logged = await deps.catalog.recordSealed(snapshot.snapshotId, revision, coverage, sealedAt, [
    {
      type: 'snapshot-sealed',
      severity: 'info',
      repo: snapshot.ref,
      // A commit that is complete again keeps its manifest, which says when it was first proven.
      at: nowIso(deps),
      before: null,
      after: snapshot.commit,
      detail: { revision, coverage, filesHeld: held.files, filesListed, bytesHeld: held.bytes, sealedAt },
    },
  ])
  announce(deps, logged)
  deps.progress.sealed(snapshot.ref, snapshot.commit, held.files, held.bytes)
}

function asItWas({ files, ...head }: Manifest): { head: ManifestHead; files: ManifestDraft } {
  return { head, files: ManifestDraft.of(files) }
}

function nextHead(
  deps: PipelineDeps,
  snapshot: SnapshotRow,
  { isRefusing, ...promise }: SealedPromise,
  existing: Manifest | undefined,
  files: ManifestDraft,
): ManifestHead {
  const isAll = !isRefusing && files.held.files === files.filesListed
  return {
    format: 'weightvault-manifest/1',
    repo: promise.repo,
    commit: snapshot.commit,
    revision: (existing?.revision ?? 0) + 1,
    endpoint: promise.endpoint,
    sealedAt: nowIso(deps),
    coverage: isAll ? 'all' : 'selection',
    license: promise.license,
    listingSha256: promise.listingSha256,
  }
}

type SealedPromise = Pick<Manifest, 'repo' | 'endpoint' | 'license' | 'listingSha256'> & {
  readonly isRefusing: boolean
}

/** What a manifest takes from its listing. The listing itself, large for thousands of files, is not held while sealing. */
async function readPromise(deps: PipelineDeps, snapshot: SnapshotRow): Promise<SealedPromise> {
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

/** The files page by page, each proven to be on disk, and whether an earlier manifest says the same of every one. */
async function draftFiles(
  deps: PipelineDeps,
  snapshot: SnapshotRow,
  existing: Manifest | undefined,
  signal: AbortSignal,
): Promise<{ files: ManifestDraft; isAsBefore: boolean }> {
  const before = new Map(existing?.files.map((file) => [file.path, file]))
  const files = new ManifestDraft()
  let isAsBefore = existing !== undefined
  let after: string | undefined
  for (;;) {
    const page = await deps.catalog.files(snapshot.snapshotId, { after, limit: FILES_PER_PAGE })
    const made = page.map((row) => keepHeld(manifestFile(row), before))
    await provePresent(deps, snapshot, made, signal)
    isAsBefore &&= made.every((file) => saysSame(file, before.get(file.path)))
    files.add(made)
    if (page.length < FILES_PER_PAGE) break
    after = page.at(-1)?.path
  }
  return { files, isAsBefore: isAsBefore && files.filesListed === before.size }
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
function keepHeld(file: ManifestFile, before: ReadonlyMap<string, ManifestFile>): ManifestFile {
  const earlier = before.get(file.path)
  return !file.held && earlier?.held === true ? earlier : file
}

function saysSame(file: ManifestFile, before: ManifestFile | undefined): boolean {
  return file.size === before?.size && file.sha256 === before.sha256 && file.held === before.held
}

/** The catalog may believe in a blob that somebody removed: what is not on disk with its size is not sealed. */
async function provePresent(
  deps: PipelineDeps,
  snapshot: SnapshotRow,
  files: readonly ManifestFile[],
  signal: AbortSignal,
): Promise<void> {
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
}
