import type { SnapshotRow } from '../archive-rows.ts'
import type { CommitId, Sha256 } from '../domain/digest.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { Manifest, ManifestFile } from '../domain/manifest.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { hearWitness } from '../domain/witness.ts'
import type { OpenedArchive, VerifyResult } from '../opened-archive.ts'
import type { PipelineDeps } from '../pipeline/deps.ts'
import { damageNote, damageOf, readHeld } from '../pipeline/held-blob.ts'
import { applyPolicyChanges } from '../pipeline/plan-snapshots.ts'
import { scheduleJobs } from '../pipeline/schedule-jobs.ts'
import type { Progress } from '../progress-port.ts'
import type { NewDamage } from '../work-rows.ts'
import { assertCatalogKnows } from './lost-catalog.ts'

/** What to verify: everything sealed, one repository, or one of its commits. */
export interface VerifyTarget {
  readonly ref?: RepoRef
  readonly commit?: CommitId
}

const REPOS_PER_PAGE = 200
const RECORD_EVERY = 500

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

/**
 * Re-hashes every blob that the sealed manifests of the target name, once each, offline, and compares with the witnesses.
 * With a writable archive the result is recorded: when each blob was last proven; and what is damaged is set aside,
 * told by a `fixity-failed` event, and fetched again by the next pass.
 * @throws ArchiveError CATALOG_UNUSABLE when the catalog is empty beside an archive that is not
 */
export async function verifyArchive(
  archive: OpenedArchive,
  target: VerifyTarget,
  progress: Progress,
  signal: AbortSignal,
): Promise<VerifyResult> {
  const result: Mutable<VerifyResult> = {
    checkedFiles: 0,
    checkedBytes: 0,
    ok: true,
    corrupt: [],
    missing: [],
    unreadable: [],
    contradicted: [],
  }
  const checked = new Map<Sha256, 'ok' | 'corrupt' | 'missing'>()
  const proven: Sha256[] = []
  for await (const snapshot of sealedSnapshots(archive, target)) {
    const manifest = await readManifest(archive, snapshot, result)
    if (manifest === undefined) continue
    for (const file of manifest.files) {
      signal.throwIfAborted()
      if (!file.held || file.sha256 === null) continue
      const isNew = !checked.has(file.sha256)
      const state = checked.get(file.sha256) ?? (await checkBlob(archive, file.sha256, file.size, signal))
      checked.set(file.sha256, state)
      if (isNew) {
        result.checkedBytes += file.size
        progress.verified(`${printRepo(snapshot.ref)} ${displayName(file.path)}`, file.size)
        if (state === 'ok') proven.push(file.sha256)
      }
      note(result, archive, snapshot, file, state)
      if (proven.length >= RECORD_EVERY)
        await whileThereIsRoom(archive, result, () => record(archive, proven.splice(0)))
    }
  }
  await whileThereIsRoom(archive, result, () => record(archive, proven))
  if (result.checkedFiles === 0) await assertCatalogKnows(archive)
  result.ok = result.corrupt.length + result.missing.length + result.unreadable.length === 0
  await whileThereIsRoom(archive, result, () => recordDamage(archive, result, progress, signal))
  return result
}

async function* sealedSnapshots(archive: OpenedArchive, target: VerifyTarget): AsyncGenerator<SnapshotRow> {
  if (target.ref !== undefined) {
    // What is archived under a name stays under it, whoever has the name now.
    const rows = await archive.catalog.reposNamed(target.ref)
    if (rows.length === 0) {
      throw new ArchiveError('REPO_UNKNOWN', `${printRepo(target.ref)} is not in the archive`, {
        hint: '`weightvault list` shows what is',
      })
    }
    const all = rows.flatMap((row) => row.snapshots)
    yield* all.filter((one) => one.manifestRevision > 0 && (target.commit ?? one.commit) === one.commit)
    return
  }
  let after: SnapshotRow['ref']['name'] | undefined
  for (;;) {
    const page = await archive.catalog.listRepos({}, { after, limit: REPOS_PER_PAGE, withSnapshots: true })
    for (const row of page) yield* row.snapshots.filter((one) => one.manifestRevision > 0)
    if (page.length < REPOS_PER_PAGE) return
    after = page.at(-1)?.ref.name
  }
}

/** A manifest that is gone or damaged is a finding like any other: the rest is checked all the same. */
async function readManifest(
  archive: OpenedArchive,
  snapshot: SnapshotRow,
  result: Mutable<VerifyResult>,
): Promise<Manifest | undefined> {
  const unreadable = (message: string): void => {
    result.unreadable.push({ repo: printRepo(snapshot.ref), commit: snapshot.commit, message })
  }
  try {
    const manifest = await archive.records.readManifest(snapshot.ref.name, snapshot.commit)
    if (manifest === undefined)
      unreadable('the manifest is not on disk; restore the file under manifests/ from a backup')
    return manifest
  } catch (error) {
    if (!(error instanceof ArchiveError) || error.code !== 'RECORD_INVALID') throw error
    unreadable(error.message)
    return undefined
  }
}

async function checkBlob(
  archive: OpenedArchive,
  sha256: Sha256,
  size: number,
  signal: AbortSignal,
): Promise<'ok' | 'corrupt' | 'missing'> {
  try {
    const held = await readHeld(archive.blobs, sha256, signal)
    return held?.size === size ? 'ok' : 'corrupt'
  } catch (error) {
    signal.throwIfAborted()
    const code = errorCodeOf(error)
    if (code === 'FILE_UNKNOWN') return 'missing'
    if (code === 'FIXITY_FAILED') return 'corrupt'
    throw error
  }
}

function note(
  result: Mutable<VerifyResult>,
  archive: OpenedArchive,
  snapshot: SnapshotRow,
  file: ManifestFile,
  state: 'ok' | 'corrupt' | 'missing',
): void {
  if (file.sha256 === null) return
  result.checkedFiles += 1
  const entry = { repo: printRepo(snapshot.ref), path: file.path, sha256: file.sha256 }
  if (state === 'corrupt') result.corrupt.push(entry)
  if (state === 'missing') result.missing.push(entry)
  const rows = archive.witness.lookUp(snapshot.ref, snapshot.commit, file.path)
  const [first] = rows
  if (first !== undefined && hearWitness(rows, file.sha256) === 'contradicts') {
    result.contradicted.push({ ...entry, witness: first.sha256, source: first.source })
  }
}

/** A full disk keeps nobody from reading on: what is found counts more than that it can be noted. */
async function whileThereIsRoom(
  archive: OpenedArchive,
  result: Mutable<VerifyResult>,
  step: () => Promise<void>,
): Promise<void> {
  if (!archive.writable || result.notRecorded !== undefined) return
  try {
    await step()
  } catch (error) {
    if (!(error instanceof ArchiveError) || error.code !== 'DISK_FULL') throw error
    result.notRecorded = error.message
  }
}

async function record(archive: OpenedArchive, proven: readonly Sha256[]): Promise<void> {
  if (proven.length === 0) return
  await archive.catalog.recordVerified(proven, new Date(archive.clock.now()).toISOString())
}

/**
 * Has what is damaged fetched again: bad bytes leave their name for quarantine, and whatever holds them wants them anew.
 * One event for each blob when its damage is first found; a later check that finds the same is no news.
 */
async function recordDamage(
  archive: OpenedArchive,
  result: Mutable<VerifyResult>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const at = new Date(archive.clock.now()).toISOString()
  const damage = new Map<Sha256, NewDamage>()
  for (const [found, entries] of [
    ['corrupt', result.corrupt],
    ['missing', result.missing],
  ] as const) {
    for (const entry of entries) {
      if (damage.has(entry.sha256)) continue
      damage.set(entry.sha256, damageOf(entry, found, at))
      if (found === 'corrupt') await archive.blobs.quarantineBlob(entry.sha256, damageNote(entry, at), signal)
    }
  }
  if (damage.size === 0) return
  progress.events(await archive.catalog.recordDamage([...damage.values()], at))
  await admit({ ...archive, progress }, signal)
}

/** Until a schedule has seen it, what is wanted again would count as held back by the budget. */
async function admit(deps: PipelineDeps, signal: AbortSignal): Promise<void> {
  await applyPolicyChanges(deps, signal)
  await scheduleJobs(deps, undefined)
}
