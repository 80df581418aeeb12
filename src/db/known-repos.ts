import type { HubId } from '../domain/digest.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import type { Gate, RepoRef } from '../domain/repo.ts'
import { decodeObject } from '../domain/decode.ts'
import type { KnownRepo, RepoActivity } from '../watch-rows.ts'
import type { CardFacts, UndigestedHead, UnlistedHead } from '../work-rows.ts'
import { bytesOf, commitOf, fromJson, hubIdOf, nameKeyOf, refOf, unpackLicense } from './codec.ts'
import { IS_HEAD_UNLISTED, IS_UNDIGESTED } from './conditions.ts'
import type { ReposTable } from './repo-tables.ts'
import type { Db } from './schema.ts'

/** A stored row of `repos`. */
export type StoredRepo = Omit<ReposTable, 'id'> & { id: number }

/** Every repository that this watch saw last, by id. */
export async function reposOfWatch(db: Db, watch: string): Promise<KnownRepo[]> {
  const rows = await db
    .selectFrom('repos')
    .selectAll('repos')
    .where('watch_id', '=', (eb) => eb.selectFrom('watches').select('id').where('key', '=', watch))
    .orderBy('id')
    .execute()
  return rows.map(knownRepoOf)
}

/** When the repositories of a watch showed signs of life. */
export async function activityOf(db: Db, watch: string): Promise<RepoActivity[]> {
  const rows = await db
    .selectFrom('repos')
    .leftJoin('snapshots', 'snapshots.id', 'repos.newest_snapshot_id')
    .select(['created_at', 'last_modified', 'first_seen_at', 'is_new_release', 'snapshots.listed_at'])
    .where('watch_id', '=', (eb) => eb.selectFrom('watches').select('id').where('key', '=', watch))
    .execute()
  return rows.map((row) => ({
    createdAt: row.created_at ?? undefined,
    lastModified: row.last_modified ?? undefined,
    firstSeenAt: row.first_seen_at,
    listedAt: row.listed_at ?? undefined,
    isNewRelease: row.is_new_release === 1,
  }))
}

/**
 * The row a name means now, without letter case: the repository that has the name, or the last one that had it.
 */
export async function storedRepoByName(db: Db, ref: RepoRef): Promise<StoredRepo | undefined> {
  return db
    .selectFrom('repos')
    .selectAll()
    .where('name_key', '=', nameKeyOf(ref.name))
    .where('type', '=', ref.type)
    .orderBy('name_taken')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

export async function storedRepoByHubId(db: Db, hubId: HubId): Promise<StoredRepo | undefined> {
  return db.selectFrom('repos').selectAll().where('hub_id', '=', bytesOf(hubId)).executeTakeFirst()
}

/** Heads without a listing that the Hub may still show. Of one watch, or of all. */
export async function unlistedHeads(db: Db, watch: string | undefined): Promise<UnlistedHead[]> {
  let query = db
    .selectFrom('repos')
    .select(['id', 'type', 'name', 'head'])
    .where(IS_HEAD_UNLISTED)
    .where('head', 'is not', null)
    .where('name_taken', '=', 0)
    .where('upstream', 'not in', ['unavailable', 'disabled', 'recreated'])
    .orderBy('id')
  if (watch !== undefined) {
    query = query.where('watch_id', '=', (eb) => eb.selectFrom('watches').select('id').where('key', '=', watch))
  }
  const rows = await query.execute()
  return rows.flatMap((row) =>
    row.head === null ? [] : [{ repoId: row.id, ref: refOf(row), commit: commitOf(row.head) }],
  )
}

/**
 * Listed heads of a watch whose digests the Hub withheld when they were read.
 * @param read.before ISO time: what was read before it is due again
 * @param read.now ISO time: what seems to have been read after it is due, too
 */
export async function undigestedHeads(
  db: Db,
  watch: string | undefined,
  read: { readonly before: string; readonly now: string },
): Promise<UndigestedHead[]> {
  let query = db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['snapshots.id as snapshot_id', 'repos.id', 'repos.type', 'repos.name', 'snapshots.commit_id'])
    .where(IS_UNDIGESTED)
    .whereRef('repos.newest_snapshot_id', '=', 'snapshots.id')
    .where((eb) => eb.or([eb('snapshots.read_at', '<', read.before), eb('snapshots.read_at', '>', read.now)]))
    .where('repos.head_listed', '=', 1)
    .where('name_taken', '=', 0)
    .where('upstream', 'not in', ['unavailable', 'disabled', 'recreated'])
    .orderBy('snapshots.id')
  if (watch !== undefined) {
    query = query.where('watch_id', '=', (eb) => eb.selectFrom('watches').select('id').where('key', '=', watch))
  }
  return (await query.execute()).map((row) => ({
    snapshotId: row.snapshot_id,
    repoId: row.id,
    ref: refOf(row),
    commit: commitOf(row.commit_id),
  }))
}

/** The card facts of the last poll; those of a repository without any are empty. */
export async function cardOf(db: Db, repoId: number): Promise<CardFacts> {
  const row = await db
    .selectFrom('repos')
    .leftJoin('cards', 'cards.repo_id', 'repos.id')
    .select(['repos.gated', 'cards.tags', 'cards.card_data'])
    .where('repos.id', '=', repoId)
    .executeTakeFirst()
  return {
    gated: gateOf(row?.gated ?? null),
    tags: row?.tags == null ? [] : (JSON.parse(row.tags) as string[]),
    cardData: fromJson(row?.card_data ?? null) as CardFacts['cardData'],
  }
}

export function knownRepoOf(row: StoredRepo): KnownRepo {
  return {
    repoId: row.id,
    ref: refOf(row),
    hubId: hubIdOf(row.hub_id),
    head: row.head === null ? undefined : commitOf(row.head),
    headListed: row.head_listed === 1,
    gated: gateOf(row.gated),
    private: row.private === 1,
    disabled: row.disabled === 1,
    license: unpackLicense(row.license),
    upstream: row.upstream as UpstreamState,
    movedTo: row.upstream === 'renamed' ? movedToOf(row.upstream_evidence) : undefined,
    misses: row.misses,
    firstMissAt: row.first_miss_at ?? undefined,
    createdAt: row.created_at ?? undefined,
    lastModified: row.last_modified ?? undefined,
  }
}

function movedToOf(evidence: string | null): string | undefined {
  const to = decodeObject(fromJson(evidence))?.['to']
  return typeof to === 'string' ? to : undefined
}

function gateOf(text: string | null): Gate {
  return text === 'auto' || text === 'manual' ? text : false
}
