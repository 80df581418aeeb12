import type { HubRef } from '../domain/ref-changes.ts'
import type { DueRefs, RefRecord } from '../watch-rows.ts'
import { bytesOf, commitOf, refOf } from './codec.ts'
import type { Db } from './schema.ts'

/**
 * Repositories whose branches and tags are to be read: those whose head moved or that were never read, and of the others
 * those that were read longest ago.
 * @param options.before ISO time: what was read before it is due again
 * @param options.now ISO time: what seems to have been read after it was read by a clock that was set back since, and is due, too
 * @param options.again at most so many that are only due again
 */
export async function dueRefs(
  db: Db,
  options: { readonly watch: string; readonly before: string; readonly now: string; readonly again: number },
): Promise<DueRefs[]> {
  const candidates = db
    .selectFrom('repos')
    .leftJoin('ref_states', 'ref_states.repo_id', 'repos.id')
    .select(['repos.id', 'repos.type', 'repos.name', 'repos.head'])
    .select(['ref_states.head as read_head', 'ref_states.refs'])
    .where('watch_id', '=', (eb) => eb.selectFrom('watches').select('id').where('key', '=', options.watch))
    .where('repos.head', 'is not', null)
    .where('name_taken', '=', 0)
    .where('upstream', 'in', ['ok', 'gated'])
  const moved = await candidates
    .where((eb) => eb.or([eb('ref_states.head', 'is', null), eb('ref_states.head', '<>', eb.ref('repos.head'))]))
    .orderBy('repos.id')
    .execute()
  const again = await candidates
    .whereRef('ref_states.head', '=', 'repos.head')
    .where((eb) => eb.or([eb('ref_states.read_at', '<', options.before), eb('ref_states.read_at', '>', options.now)]))
    .orderBy('ref_states.read_at')
    .limit(options.again)
    .execute()
  return [...moved, ...again].flatMap((row) =>
    row.head === null
      ? []
      : [
          {
            repoId: row.id,
            ref: refOf(row),
            head: commitOf(row.head),
            known:
              row.read_head === null || row.refs === null
                ? undefined
                : { head: commitOf(row.read_head), refs: JSON.parse(row.refs) as HubRef[] },
          },
        ],
  )
}

/** Keeps what was read; the next look is compared with it. */
export async function storeRefs(db: Db, { repoId, head, refs, at }: RefRecord): Promise<void> {
  const values = { head: bytesOf(head), read_at: at, refs: JSON.stringify(refs) }
  await db
    .insertInto('ref_states')
    .values({ repo_id: repoId, ...values })
    .onConflict((conflict) => conflict.column('repo_id').doUpdateSet(values))
    .execute()
}

/** Branches and tags of a repository as they were read last. */
export async function refsOf(db: Db, repoId: number): Promise<HubRef[]> {
  const row = await db.selectFrom('ref_states').select('refs').where('repo_id', '=', repoId).executeTakeFirst()
  return row?.refs === undefined || row.refs === null ? [] : (JSON.parse(row.refs) as HubRef[])
}
