import { sql } from 'kysely'
import type { RepoFilter, RepoRow, SnapshotRow } from '../archive-rows.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import type { RepoName, RepoRef } from '../domain/repo.ts'
import { commitOf, fromJson, hubIdOf, nameKeyOf, refOf, unpackLicense } from './codec.ts'
import type { StoredRepo } from './known-repos.ts'
import type { Db } from './schema.ts'
import { selectSnapshots, snapshotRowOf } from './snapshots.ts'

export interface RepoPage {
  readonly after: RepoName | undefined
  readonly limit: number
  readonly withSnapshots: boolean
}

/**
 * A page by name without case. Repositories may share a name (another type, or recreated): a page never ends between
 * two of them, so it may be a little longer than its limit.
 */
export async function listRepos(db: Db, filter: RepoFilter, page: RepoPage): Promise<RepoRow[]> {
  let query = matching(db, filter).orderBy('name_key').orderBy('id').limit(page.limit)
  if (page.after !== undefined) query = query.where('name_key', '>', nameKeyOf(page.after))
  const found = await query.execute()
  const last = found.at(-1)
  if (last !== undefined && found.length === page.limit) {
    const rest = matching(db, filter).where('name_key', '=', last.name_key).where('id', '>', last.id).orderBy('id')
    found.push(...(await rest.execute()))
  }
  return loadRepos(
    db,
    found.map((row) => row.id),
    page.withSnapshots,
  )
}

/** The repository that a name means best, with all its snapshots. */
export async function repoRow(db: Db, ref: RepoRef): Promise<RepoRow | undefined> {
  return (await reposNamed(db, ref))[0]
}

/** A repository with all its snapshots, by its place in the catalog. */
export async function repoRowById(db: Db, repoId: number): Promise<RepoRow | undefined> {
  return (await loadRepos(db, [repoId], true))[0]
}

/** Repositories that may share one name over time; more of them are left out. */
const MOST_OF_A_NAME = 100

/**
 * Every repository that has the name or had it, with all its snapshots. First the one that was archived first under the
 * name, so that nobody takes an archive's place by taking its name; then the one that has it now, and the others.
 */
export async function reposNamed(db: Db, ref: RepoRef): Promise<RepoRow[]> {
  const key = nameKeyOf(ref.name)
  const now = await db
    .selectFrom('repos')
    .select('id')
    .where('name_key', '=', key)
    .where('type', '=', ref.type)
    .orderBy('name_taken')
    .orderBy('id', 'desc')
    .limit(MOST_OF_A_NAME)
    .execute()
  const once = await db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select('snapshots.repo_id as id')
    .distinct()
    .where(sql`LOWER(snapshots.name)`, '=', key)
    .where('repos.type', '=', ref.type)
    .orderBy('snapshots.repo_id', 'desc')
    .limit(MOST_OF_A_NAME)
    .execute()
  // Ids grow: the smallest is the first that we ever listed under this name.
  const first = once.length === 0 ? [] : [once.reduce((a, b) => (a.id < b.id ? a : b))]
  return loadRepos(db, [...new Set([...first, ...now, ...once].map(({ id }) => id))], true)
}

/** Ids and names of the repositories that pass every filter; all columns are in one index. */
function matching(db: Db, filter: RepoFilter) {
  let query = db.selectFrom('repos').select(['id', 'name_key'])
  if (filter.license !== undefined) query = query.where('license_key', '=', filter.license.toLowerCase())
  if (filter.state !== undefined) query = query.where('state', '=', filter.state)
  if (filter.upstream !== undefined) query = query.where('upstream', '=', filter.upstream)
  if (filter.largerBytes !== undefined) query = query.where('bytes_listed', '>', filter.largerBytes)
  if (filter.smallerBytes !== undefined) query = query.where('bytes_listed', '<', filter.smallerBytes)
  if (filter.text !== undefined) query = query.where(contains('name_key', filter.text.toLowerCase()))
  if (filter.format !== undefined) query = query.where(contains('formats', JSON.stringify(filter.format.toLowerCase())))
  if (filter.quant !== undefined) query = query.where(contains('quants', JSON.stringify(filter.quant.toUpperCase())))
  return query
}

/** A plain substring, not a pattern: what a person types may hold `%`. */
function contains(column: 'name_key' | 'formats' | 'quants', text: string) {
  return sql<boolean>`${sql.ref(column)} LIKE ${`%${text.replace(/[\\%_]/g, '\\$&')}%`} ESCAPE '\\'`
}

async function loadRepos(db: Db, ids: readonly number[], withSnapshots: boolean): Promise<RepoRow[]> {
  if (ids.length === 0) return []
  const repos = await db
    .selectFrom('repos')
    .innerJoin('sightings', 'sightings.repo_id', 'repos.id')
    .innerJoin('watches', 'watches.id', 'repos.watch_id')
    .selectAll('repos')
    .select(['sightings.seen_at', 'watches.key as watch'])
    .select((eb) =>
      eb
        .selectFrom('snapshot_blobs')
        .select((oldest) => oldest.fn.min('verified_ms').as('ms'))
        .whereRef('snapshot_blobs.snapshot_id', '=', 'repos.newest_snapshot_id')
        .as('verified_ms'),
    )
    .where('repos.id', 'in', ids)
    .execute()
  let query = selectSnapshots(db).where('snapshots.repo_id', 'in', ids).orderBy('snapshots.id', 'desc')
  if (!withSnapshots) query = query.whereRef('repos.newest_snapshot_id', '=', 'snapshots.id')
  const byRepo = Map.groupBy((await query.execute()).map(snapshotRowOf), (snapshot) => snapshot.repoId)
  const rows = new Map(
    repos.map((repo) => [repo.id, repoRowOf(repo, byRepo.get(repo.id) ?? [], withSnapshots)] as const),
  )
  return ids.flatMap((id) => rows.get(id) ?? [])
}

function repoRowOf(
  repo: StoredRepo & { seen_at: string; verified_ms: number | null; watch: string },
  snapshots: readonly SnapshotRow[],
  withSnapshots: boolean,
): RepoRow {
  return {
    repoId: repo.id,
    ref: refOf(repo),
    hubId: hubIdOf(repo.hub_id),
    watch: repo.watch,
    upstream: repo.upstream as UpstreamState,
    upstreamEvidence: fromJson(repo.upstream_evidence),
    license: unpackLicense(repo.license),
    head: repo.head === null ? undefined : commitOf(repo.head),
    createdAt: repo.created_at ?? undefined,
    lastModified: repo.last_modified ?? undefined,
    firstSeenAt: repo.first_seen_at,
    lastSeenAt: repo.seen_at,
    lastVerifiedAt: repo.verified_ms === null ? undefined : new Date(repo.verified_ms).toISOString(),
    formats: JSON.parse(repo.formats) as string[],
    quants: JSON.parse(repo.quants) as string[],
    newest: snapshots.find((snapshot) => snapshot.snapshotId === repo.newest_snapshot_id),
    snapshots: withSnapshots ? snapshots : [],
  }
}
