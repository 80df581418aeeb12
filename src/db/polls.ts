import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LoggedEvent } from '../domain/events.ts'
import { effectiveLicense, type RepoFacts } from '../domain/repo.ts'
import type { PollRecord, UpstreamState } from '../catalog-rows.ts'
import { forEachYielding, type Bulk } from './bulk.ts'
import { bytesOf, nameKeyOf, packLicense, toJson } from './codec.ts'
import { appendEvents } from './events.ts'
import { addToCounters } from './meta.ts'
import { refreshNewest } from './newest.ts'
import type { Db } from './schema.ts'
import { notePoll } from './watches.ts'

/** Repositories written between two breaths of the event loop. */
const REPOS_PER_TURN = 50

/** Writes one complete poll: repositories, sightings, losses, cursor and events. */
export async function recordPoll(db: Db, bulk: Bulk, archiveId: string, record: PollRecord): Promise<LoggedEvent[]> {
  const watchId = await notePoll(db, record.watch, record.at)
  let added = 0
  for (const [at, change] of record.changed.entries()) {
    if (at % REPOS_PER_TURN === REPOS_PER_TURN - 1) await nextTurn()
    const isNew = await storeFacts(db, change, { watchId, at: record.at, isFirst: record.isFirst })
    if (isNew) added += 1
  }
  await forEachYielding(record.unchanged, (repoId) => bulk.seenUnchanged(repoId, watchId, record.at))
  for (const miss of record.missing) {
    await db
      .updateTable('repos')
      .set({ misses: miss.misses, first_miss_at: miss.firstMissAt })
      .where('id', '=', miss.repoId)
      .execute()
  }
  for (const state of record.states) {
    await db
      .updateTable('repos')
      .set({ upstream: state.upstream, upstream_evidence: toJson(state.evidence) })
      .where('id', '=', state.repoId)
      .execute()
  }
  await addToCounters(db, { repos: added })
  return appendEvents(db, archiveId, record.events)
}

/** Inserts or replaces what is known of one repository. Returns whether it is new. */
async function storeFacts(
  db: Db,
  change: { facts: RepoFacts; upstream: UpstreamState },
  poll: { watchId: number; at: string; isFirst: boolean },
): Promise<boolean> {
  const { facts } = change
  const hubId = bytesOf(facts.hubId)
  const columns = { ...factColumns(facts), upstream: change.upstream, watch_id: poll.watchId }
  const known = await db
    .selectFrom('repos')
    .select(['id', 'upstream', 'upstream_evidence', 'gated'])
    .where('hub_id', '=', hubId)
    .executeTakeFirst()
  const repoId =
    known === undefined
      ? await insertRepo(db, {
          ...columns,
          hub_id: hubId,
          first_seen_at: poll.at,
          is_new_release: poll.isFirst ? 0 : 1,
        })
      : known.id
  if (known !== undefined) {
    const evidence = known.upstream === change.upstream ? known.upstream_evidence : null
    // Another gate may show digests that were withheld.
    if (known.gated !== columns.gated) {
      await db.updateTable('snapshots').set({ read_at: '' }).where('repo_id', '=', repoId).execute()
    }
    await db
      .updateTable('repos')
      .set({ ...columns, upstream_evidence: evidence })
      .where('id', '=', repoId)
      .execute()
  }
  await takeName(db, repoId, facts, poll.at)
  await storeCard(db, repoId, facts)
  const seen = { repo_id: repoId, seen_at: poll.at }
  await db
    .insertInto('sightings')
    .values(seen)
    .onConflict((conflict) => conflict.column('repo_id').doUpdateSet({ seen_at: seen.seen_at }))
    .execute()
  if (known !== undefined) await refreshNewest(db, repoId)
  return known === undefined
}

function factColumns(facts: RepoFacts) {
  return {
    type: facts.ref.type,
    name: facts.ref.name,
    name_key: nameKeyOf(facts.ref.name),
    name_taken: 0,
    head: facts.commit === undefined ? null : bytesOf(facts.commit),
    gated: facts.gated === false ? null : facts.gated,
    private: facts.private ? 1 : 0,
    disabled: facts.disabled ? 1 : 0,
    license: packLicense(facts.license),
    license_key: effectiveLicense(facts.license)?.toLowerCase().toWellFormed() ?? null,
    created_at: facts.createdAt ?? null,
    last_modified: facts.lastModified ?? null,
    misses: 0,
    first_miss_at: null,
  } as const
}

async function insertRepo(
  db: Db,
  columns: ReturnType<typeof factColumns> & {
    hub_id: Buffer
    upstream: string
    watch_id: number
    first_seen_at: string
    is_new_release: 0 | 1
  },
): Promise<number> {
  const { id } = await db
    .insertInto('repos')
    .values({ ...columns, head_listed: 0, bytes_listed: 0, formats: '[]', quants: '[]' })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** A name belongs to the repository that was last seen under it; another one that had it was recreated. */
async function takeName(db: Db, repoId: number, facts: RepoFacts, at: string): Promise<void> {
  await db
    .updateTable('repos')
    .set({ name_taken: 1, upstream: 'recreated', upstream_evidence: toJson({ nameNowOf: facts.hubId, at }) })
    .where('name_key', '=', nameKeyOf(facts.ref.name))
    .where('type', '=', facts.ref.type)
    .where('id', '<>', repoId)
    .where('name_taken', '=', 0)
    .execute()
}

async function storeCard(db: Db, repoId: number, facts: RepoFacts): Promise<void> {
  const card = { tags: JSON.stringify(facts.tags), card_data: toJson(facts.cardData) }
  await db
    .insertInto('cards')
    .values({ repo_id: repoId, ...card })
    .onConflict((conflict) => conflict.column('repo_id').doUpdateSet(card))
    .execute()
}
