import { sql, type RawBuilder } from 'kysely'

/**
 * Ids as what follows `IN`, in one bound value: the text of the statement is the same however many there are, so that it
 * is prepared once. With a place for each id, hundreds of them cost megabytes of statements, and the time to prepare them.
 */
export function idList(ids: readonly number[]): RawBuilder<number> {
  return sql<number>`(SELECT value FROM json_each(${JSON.stringify(ids)}))`
}
