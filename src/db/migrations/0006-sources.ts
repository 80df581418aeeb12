import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlTypes } from './0001-init.ts'

/** Sources that served wrong bytes, more sources of the same bytes, and blobs that were found damaged. */
export function sourcesMigration(types: SqlTypes): Migration {
  const { integer: int, text, bytes, clusteredTable } = types
  const statements = [
    `CREATE TABLE source_faults (
      digest ${bytes} NOT NULL,
      repo_id ${int} NOT NULL,
      faults ${int} NOT NULL,
      until_ms ${int} NOT NULL,
      PRIMARY KEY (digest, repo_id)
    ) ${clusteredTable}`,
    // Repositories that list the same bytes although the policy leaves them there: sources when all others fail.
    'CREATE INDEX files_elsewhere ON files (lfs_oid, size) WHERE is_lfs = 1 AND take = 0',
    `CREATE TABLE damaged_blobs (
      sha256 ${bytes} NOT NULL PRIMARY KEY,
      found ${text} NOT NULL,
      found_at ${text} NOT NULL
    ) ${clusteredTable}`,
  ]
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}
