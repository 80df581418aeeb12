import type { CatalogTotals } from '../archive-rows.ts'
import { IS_SEALED } from './conditions.ts'
import { lastSeq } from './events.ts'
import { JOB_STATES } from './job-states.ts'
import { readCounters } from './meta.ts'
import type { Db } from './schema.ts'

/** Sums over the archive, from stored counters and index ranges. */
export async function totals(db: Db): Promise<CatalogTotals> {
  const counters = await readCounters(db)
  const sealed = await db
    .selectFrom('snapshots')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where(IS_SEALED)
    .executeTakeFirst()
  const jobs = await db
    .selectFrom('jobs')
    .select(['state', 'is_runnable'])
    .select((eb) => [eb.fn.countAll<number>().as('n'), eb.fn.sum<number>(eb.cast<number>('size', 'real')).as('bytes')])
    .groupBy(['state', 'is_runnable'])
    .execute()
  const oldest = await db.selectFrom('blobs').select('verified_ms').orderBy('verified_ms').limit(1).executeTakeFirst()
  const leased = jobs.filter((row) => row.state === JOB_STATES.leased)
  const held = jobs.filter((row) => row.state !== JOB_STATES.leased && row.is_runnable === 0)
  const permitted = jobs.filter((row) => row.is_runnable === 1)
  return {
    repos: counters.get('repos') ?? 0,
    snapshots: counters.get('snapshots') ?? 0,
    sealedSnapshots: sealed?.n ?? 0,
    filesListed: counters.get('files_listed') ?? 0,
    bytesListed: counters.get('bytes_listed') ?? 0,
    blobs: counters.get('blobs') ?? 0,
    blobBytes: counters.get('blob_bytes') ?? 0,
    jobsReady: count(permitted.filter((row) => row.state === JOB_STATES.ready)),
    jobsHeld: count(held),
    jobsLeased: count(leased),
    jobsFailed: count(permitted.filter((row) => row.state === JOB_STATES.waiting)),
    bytesQueued: jobs.reduce((sum, row) => sum + row.bytes, 0),
    oldestVerifiedAt: oldest === undefined ? undefined : new Date(oldest.verified_ms).toISOString(),
    lastSeq: await lastSeq(db),
  }
}

function count(rows: readonly { n: number }[]): number {
  return rows.reduce((sum, row) => sum + row.n, 0)
}
