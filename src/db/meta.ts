import type { CountersTable, Db } from './schema.ts'

/** One value of the catalog's own settings; undefined when it was never set. */
export async function readMeta(db: Db, key: string): Promise<string | undefined> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
  return row?.value
}

export async function writeMeta(db: Db, key: string, value: string): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}

const PAUSED = 'paused'

export async function isPaused(db: Db): Promise<boolean> {
  return (await readMeta(db, PAUSED)) === 'yes'
}

export async function setPaused(db: Db, paused: boolean): Promise<void> {
  await writeMeta(db, PAUSED, paused ? 'yes' : 'no')
}

export type CounterName = CountersTable['name']

/** Every counter; one that was never written is 0. */
export async function readCounters(db: Db): Promise<Map<CounterName, number>> {
  const rows = await db.selectFrom('counters').selectAll().execute()
  return new Map(rows.map((row) => [row.name, row.value]))
}

/** Adds to counters. Sums of hostile sizes stay at the largest exact number instead of overflowing. */
export async function addToCounters(db: Db, amounts: Partial<Record<CounterName, number>>): Promise<void> {
  const counters = await readCounters(db)
  for (const [name, amount] of Object.entries(amounts) as [CounterName, number][]) {
    if (amount === 0) continue
    const value = exact((counters.get(name) ?? 0) + amount)
    await db
      .insertInto('counters')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute()
  }
}

/** A sum as a number that a column can hold exactly. */
export function exact(sum: number): number {
  return Math.min(sum, Number.MAX_SAFE_INTEGER)
}
