import type { WatchState } from '../watch-rows.ts'
import type { Db } from './schema.ts'

/** Every watch that was ever polled, by key. */
export async function watchStates(db: Db, watch?: string): Promise<WatchState[]> {
  let query = db
    .selectFrom('watches')
    .selectAll()
    .select((eb) =>
      eb
        .selectFrom('repos')
        .select((count) => count.fn.countAll<number>().as('n'))
        .whereRef('repos.watch_id', '=', 'watches.id')
        .as('repos'),
    )
    .orderBy('key')
  if (watch !== undefined) query = query.where('key', '=', watch)
  const rows = await query.execute()
  return rows.map((row) => ({
    watch: row.key,
    lastPollAt: row.last_poll_at ?? undefined,
    lastOkAt: row.last_ok_at ?? undefined,
    lastErrorCode: row.last_error_code ?? undefined,
    lastErrorMessage: row.last_error_message ?? undefined,
    repos: row.repos ?? 0,
  }))
}

/** Notes a complete poll, or one whose listing is not believed to be whole. Returns the watch's id. */
export async function notePoll(
  db: Db,
  watch: string,
  at: string,
  doubt: { readonly code: string; readonly message: string } | undefined,
): Promise<number> {
  if (doubt !== undefined) return notePollFailure(db, watch, at, doubt)
  const state = { last_poll_at: at, last_ok_at: at, last_error_code: null, last_error_message: null }
  return upsert(db, watch, state)
}

/** Notes a poll that failed: nothing else is known from it. */
export async function notePollFailure(
  db: Db,
  watch: string,
  at: string,
  failure: { code: string; message: string },
): Promise<number> {
  const message = failure.message.toWellFormed()
  return upsert(db, watch, { last_poll_at: at, last_error_code: failure.code, last_error_message: message })
}

async function upsert(
  db: Db,
  key: string,
  state: {
    last_poll_at: string
    last_ok_at?: string
    last_error_code: string | null
    last_error_message: string | null
  },
): Promise<number> {
  const { id } = await db
    .insertInto('watches')
    .values({ key, ...state })
    .onConflict((conflict) => conflict.column('key').doUpdateSet(state))
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}
