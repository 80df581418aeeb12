import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { packPrefixes, prefixOf } from '../digest-prefixes.ts'
import type { SqlTypes } from './0001-init.ts'

interface ListedFile {
  snapshot_id: number
  digest: Buffer | null
}

/** Which content each snapshot lists, compactly; and what is known of files that were looked at to be adopted. */
export function listedDigestsMigration(types: SqlTypes): Migration {
  const { integer: int, bytes } = types
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of [
        `CREATE TABLE listed_digests (snapshot_id ${int} NOT NULL PRIMARY KEY REFERENCES snapshots (id),
           prefixes ${bytes} NOT NULL) ${types.table}`,
        `CREATE TABLE seen_files (path_digest ${bytes} NOT NULL PRIMARY KEY, stamp ${bytes} NOT NULL,
           sha256 ${bytes} NOT NULL, git_oid ${bytes} NOT NULL) ${types.clusteredTable}`,
      ]) {
        await sql.raw(statement).execute(db)
      }
      const snapshots = await sql<{ id: number }>`SELECT id FROM snapshots ORDER BY id`.execute(db)
      for (const { id } of snapshots.rows) {
        const files = await sql<ListedFile>`SELECT CASE is_lfs WHEN 1 THEN lfs_oid ELSE git_oid END AS digest
          FROM files WHERE snapshot_id = ${id}`.execute(db)
        const digests = files.rows.flatMap(({ digest }) => (digest === null ? [] : [prefixOf(digest)]))
        await sql`INSERT INTO listed_digests (snapshot_id, prefixes) VALUES (${id}, ${packPrefixes(digests)})`.execute(
          db,
        )
      }
    },
  }
}
