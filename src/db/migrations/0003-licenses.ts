import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlTypes } from './0001-init.ts'

/** The licence of each commit, the files that say it, and what each text was found to be. */
export function licensesMigration(types: SqlTypes): Migration {
  const { id, integer: int, text, bytes, table, clusteredTable } = types
  const statements = [
    `CREATE TABLE licenses (
      snapshot_id ${int} NOT NULL PRIMARY KEY REFERENCES snapshots (id) ON DELETE CASCADE,
      repo_id ${int} NOT NULL,
      stated ${text} NOT NULL,
      tags ${text} NOT NULL,
      spdx ${text},
      kind ${text},
      base_models ${text} NOT NULL,
      gate_terms ${text},
      compared ${int} NOT NULL
    ) ${table}`,
    'CREATE INDEX licenses_repo ON licenses (repo_id, compared, snapshot_id)',
    'CREATE INDEX licenses_new ON licenses (snapshot_id) WHERE compared = 0',
    `CREATE TABLE license_readings (
      id ${id},
      sha256 ${bytes} NOT NULL,
      role ${text} NOT NULL,
      reading ${text} NOT NULL,
      UNIQUE (sha256, role)
    ) ${table}`,
    `CREATE TABLE license_files (
      snapshot_id ${int} NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
      path_key ${bytes} NOT NULL,
      role ${text} NOT NULL,
      reading_id ${int} REFERENCES license_readings (id),
      PRIMARY KEY (snapshot_id, path_key)
    ) ${clusteredTable}`,
    'CREATE INDEX license_files_reading ON license_files (reading_id, role)',
  ]
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}
