import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LoggedEvent } from '../domain/events.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import { effectiveLicense, type RepoFacts } from '../domain/repo.ts'
import type { PollRecord } from '../watch-rows.ts'
import { forEachYielding, type Bulk } from './bulk.ts'
import { bytesOf, nameKeyOf, packLicense, toJson } from './codec.ts'
import { appendEvents } from './events.ts'
import { addToCounters } from './meta.ts'
import { refreshNewest } from './newest.ts'
import type { Db } from './schema.ts'
import { noteTransition } from './transitions.ts'
import { notePoll } from './watches.ts'

/** Repositories written between two breaths of the event loop. */
const REPOS_PER_TURN = 50

/** Writes one complete poll: repositories, sightings, losses, cursor and events. */
export async function recordPoll(db: Db, bulk: Bulk, archiveId: string, record: PollRecord): Promise<LoggedEvent[]> {
  const watchId = await notePoll(db, record.watch, record.at, record.doubt)
  let added = 0
  for (const [at, change] of record.changed.entries()) {
    if (at % REPOS_PER_TURN === REPOS_PER_TURN - 1) await nextTurn()
    const { at: now, isFirst, evidence } = record
    const isNew = await storeFacts(db, { evidence, ...change }, { watchId, at: now, isFirst })
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
  for (const state of record.states) await storeState(db, state, record.at)
  await addToCounters(db, { repos: added })
  return appendEvents(db, archiveId, record.events)
}

/** What asking directly found. */
async function storeState(db: Db, state: PollRecord['states'][number], at: string): Promise<void> {
  const { repoId, upstream, evidence } = state
  const before = await db.selectFrom('repos').select('upstream').where('id', '=', repoId).executeTakeFirst()
  if (before === undefined) return
  await db
    .updateTable('repos')
    .set({ upstream, upstream_evidence: toJson(evidence), misses: 0, first_miss_at: null })
    .where('id', '=', repoId)
    .execute()
  await noteTransition(db, { repoId, at, from: before.upstream, to: upstream, evidence })
}

/** Inserts or replaces what is known of one repository. Returns whether it is new. */
async function storeFacts(
  db: Db,
  change: { facts: RepoFacts; upstream: UpstreamState; evidence?: unknown },
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
    const isSame = known.upstream === change.upstream
    const evidence = isSame ? known.upstream_evidence : toJson(change.evidence)
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
  const { upstream, evidence } = change
  await noteTransition(db, { repoId, at: poll.at, from: known?.upstream ?? 'unknown', to: upstream, evidence })
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
  const losers = await db
    .selectFrom('repos')
    .select(['id', 'upstream'])
    .where('name_key', '=', nameKeyOf(facts.ref.name))
    .where('type', '=', facts.ref.type)
    .where('id', '<>', repoId)
    .where('name_taken', '=', 0)
    .execute()
  const evidence = { nameNowOf: facts.hubId, at }
  for (const { id, upstream } of losers) {
    await db
      .updateTable('repos')
      .set({ name_taken: 1, upstream: 'recreated', upstream_evidence: toJson(evidence) })
      .where('id', '=', id)
      .execute()
    await noteTransition(db, { repoId: id, at, from: upstream, to: 'recreated', evidence })
  }
}

async function storeCard(db: Db, repoId: number, facts: RepoFacts): Promise<void> {
  const card = { tags: JSON.stringify(facts.tags), card_data: toJson(facts.cardData) }
  await db
    .insertInto('cards')
    .values({ repo_id: repoId, ...card })
    .onConflict((conflict) => conflict.column('repo_id').doUpdateSet(card))
    .execute()
}
