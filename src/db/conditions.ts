import { sql } from 'kysely'

// Each is the condition of a partial index, word for word: with a bound value instead of the number, a database is not
// sure to see that the index answers the query, and may read the whole table.

/** Wanted files are missing. Index snapshots_pending. */
export const IS_PENDING = sql<boolean>`snapshots.missing_files > 0`

/** Complete, without a manifest that says so. Index snapshots_unsealed. */
export const IS_SEALABLE = sql<boolean>`snapshots.missing_files = 0 AND snapshots.state IN ('listed', 'fetching')`

/** Index snapshots_sealed. */
export const IS_SEALED = sql<boolean>`snapshots.state = 'sealed'`

/** The Hub withheld digests. Index snapshots_undigested. */
export const IS_UNDIGESTED = sql<boolean>`snapshots.files_undigested > 0`

/** The head has no snapshot. Index repos_unlisted. */
export const IS_HEAD_UNLISTED = sql<boolean>`repos.head_listed = 0`

/** An LFS file that the policy leaves. Index files_elsewhere. */
export const IS_ELSEWHERE = sql<boolean>`files.is_lfs = 1 AND files.take = 0`

/** Leased or waiting. Index jobs_wake. */
export const IS_NOT_READY = sql<boolean>`jobs.state > 0`

/** Not compared with the entry before. Index licenses_new. */
export const IS_NEW_LICENSE = sql<boolean>`licenses.compared = 0`
