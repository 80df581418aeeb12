import type { FileRow, SnapshotRow } from '../archive-rows.ts'
import type { FileDecision } from '../domain/decision.ts'
import { contentKeyOf } from '../domain/listing.ts'
import { policyKeyOf } from '../domain/policy.ts'
import { isWanted } from '../domain/watch.ts'
import { foldersWithShardIndex, isSmallFile, shardSetOf } from '../domain/weight-file.ts'
import type { PipelineDeps } from './deps.ts'
import { keepOf } from './plan-snapshots.ts'

const FILES_PER_PAGE = 2000
/** Two looks at whether a file has arrived and its commit is sealed again. */
const LOOK_EVERY_MS = 300
/** After this nobody waits for it any more; it stays queued. */
const LONGEST_WAIT_MS = 60 * 60_000

/**
 * Takes a file that the policy left out of a sealed commit, because somebody asked for it: it is queued in front, fetched
 * and verified like any other, and the commit is sealed again with it. A shard comes with its whole set. Budget, reserve
 * and hours hold for it, too.
 * @returns true once the new seal is written; false where it cannot be had: the repository is not watched (any more) or not
 *   to be had upstream, the commit has no such file, or nobody promised a digest of it
 */
export async function takeFile(
  deps: PipelineDeps,
  wanted: { readonly snapshot: SnapshotRow; readonly path: string },
  reschedule: () => Promise<void>,
  signal: AbortSignal,
): Promise<boolean> {
  const { catalog, clock } = deps
  const { snapshotId, repoId, commit, manifestRevision } = wanted.snapshot
  const repo = await catalog.repoRow(wanted.snapshot.ref)
  if (repo?.repoId !== repoId || repo.upstream !== 'ok') return false
  if (!isWanted(deps.settings.watches, repo.ref, repo.watch)) return false
  const files = await filesOf(deps, snapshotId, signal)
  const file = files.find(({ path }) => path === wanted.path)
  if (file === undefined || contentKeyOf(file) === undefined) return false
  if (!file.take) {
    const decided = (await catalog.decidedSnapshots()).find((one) => one.snapshotId === snapshotId)
    const policyKey = decided?.policyKey ?? policyKeyOf(keepOf(deps, repo.ref, repo.watch))
    await catalog.redecide(snapshotId, decisionsWith(files, file), policyKey, isSmallFile)
  }
  await catalog.bump(repoId)
  await reschedule()
  for (const endMs = clock.now() + LONGEST_WAIT_MS; clock.now() < endMs;) {
    const now = await catalog.snapshot(repoId, commit)
    const held = (await catalog.file(snapshotId, wanted.path))?.sha256 !== undefined
    if (held && now !== undefined && now.manifestRevision > manifestRevision) return true
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
  return false
}

/** The decisions as they are, but for one file and what belongs to it. */
function decisionsWith(files: readonly FileRow[], wanted: FileRow): FileDecision[] {
  const indexed = foldersWithShardIndex(files.map(({ path }) => path))
  const set = shardSetOf(wanted.path, indexed)
  return files.map(({ path, take, reason, detail }) => {
    const isAsked = path === wanted.path || (set !== undefined && shardSetOf(path, indexed) === set)
    if (take || !isAsked) return { path, take, reason, detail }
    return { path, take: true, reason: 'wanted', detail: 'asked for at the mirror' }
  })
}

async function filesOf(deps: PipelineDeps, snapshotId: number, signal: AbortSignal): Promise<FileRow[]> {
  const files: FileRow[] = []
  for (;;) {
    signal.throwIfAborted()
    const page = await deps.catalog.files(snapshotId, { after: files.at(-1)?.path, limit: FILES_PER_PAGE })
    files.push(...page)
    if (page.length < FILES_PER_PAGE) return files
  }
}
