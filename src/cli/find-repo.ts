import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo, splitRepoName, type RepoArgument, type RepoRef } from '../domain/repo.ts'
import { claimingWatch } from '../domain/watch.ts'
import { assertCatalogKnows } from '../maintenance/lost-catalog.ts'
import type { OpenedArchive } from '../opened-archive.ts'

/** Names that are looked at for one that was mistyped, and how many of them are shown. */
const ALIKE_READ = 200
const ALIKE_SHOWN = 3

type Archive = Pick<OpenedArchive, 'catalog' | 'settings' | 'records' | 'root'>

/**
 * The repository in the catalog that has the name or had it last.
 * @throws ArchiveError REPO_UNKNOWN, with names that are like it; CATALOG_UNUSABLE when the catalog was lost
 */
export async function findRepo(archive: Archive, ref: RepoRef): Promise<RepoRow> {
  const row = await archive.catalog.repoRow(ref)
  if (row !== undefined) return row
  await assertCatalogKnows(archive)
  throw new ArchiveError('REPO_UNKNOWN', `the archive does not know ${printRepo(ref)}`, {
    hint: await unknownRepoHint(archive, ref),
  })
}

/**
 * The snapshot a person named, with its repository: by commit, by the first 7 or more digits of one, or the newest for no
 * revision and `main`. A commit is looked for in every repository that has the name or had it, so that an original is
 * found although its name belongs to another repository now.
 * @throws ArchiveError REPO_UNKNOWN, SNAPSHOT_UNKNOWN
 */
export async function findSnapshot(
  archive: Archive,
  argument: RepoArgument,
): Promise<{ row: RepoRow; snapshot: SnapshotRow }> {
  const { revision } = argument
  const row = await findRepo(archive, argument.ref)
  const repo = printRepo(row.ref)
  if (revision === undefined || revision === 'main') {
    if (row.newest !== undefined) return { row, snapshot: row.newest }
    throw new ArchiveError('SNAPSHOT_UNKNOWN', `no commit of ${repo} has been listed yet`, {
      hint: `it was first seen at ${row.firstSeenAt}; "weightvault sync ${repo}" lists and fetches it`,
    })
  }
  if (!/^[0-9a-f]{7,40}$/i.test(revision)) {
    throw new ArchiveError('SNAPSHOT_UNKNOWN', `${displayName(revision).slice(0, 80)} is not a commit of ${repo}`, {
      hint: 'name a commit by 7 to 40 of its hex digits; branches and tags move, so they name no snapshot',
    })
  }
  const rows = await archive.catalog.reposNamed(argument.ref)
  const found: { row: RepoRow; snapshot: SnapshotRow }[] = []
  for (const one of rows) {
    const snapshots = await archive.catalog.snapshotsByPrefix(one.repoId, revision.toLowerCase())
    found.push(...snapshots.map((snapshot) => ({ row: one, snapshot })))
  }
  if (found.length === 1) return found[0]!
  const all = found.length > 1 ? found.map(({ snapshot }) => snapshot) : rows.flatMap((one) => one.snapshots)
  const known = all.slice(0, 5).map(({ commit }) => commit)
  const message =
    found.length > 1 ? `${revision} fits several commits of ${repo}` : `${repo} has no snapshot ${revision}`
  throw new ArchiveError('SNAPSHOT_UNKNOWN', message, {
    hint: known.length === 0 ? 'no commit of it has been listed yet' : `known: ${known.join(', ')}`,
  })
}

async function unknownRepoHint(archive: Archive, ref: RepoRef): Promise<string> {
  const { owner, repo } = splitRepoName(ref.name)
  for (const text of [ref.name, repo, repo.split('-')[0]!]) {
    const page = { after: undefined, limit: ALIKE_READ, withSnapshots: false }
    const alike = (await archive.catalog.listRepos({ text }, page)).map((row) => row.ref)
    // All contain the text: the closer the length, the closer the name.
    const distance = ({ name }: RepoRef): number => Math.abs(name.length - ref.name.length)
    const closest = alike.toSorted((a, b) => distance(a) - distance(b)).slice(0, ALIKE_SHOWN)
    if (closest.length > 0) return `did you mean ${closest.map((one) => printRepo(one)).join(', ')}?`
  }
  if (claimingWatch(archive.settings.watches, ref) === undefined) {
    return `nothing watches it; "weightvault watch add ${printRepo(ref)}" or "weightvault watch add ${owner}" does`
  }
  return 'it is watched, but no poll has seen it yet; "weightvault sync" polls now'
}
