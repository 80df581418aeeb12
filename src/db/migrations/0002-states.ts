import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlTypes } from './0001-init.ts'

/** What became of repositories and why, their branches and tags, and what is being rescued. */
export function statesMigration(types: SqlTypes): Migration {
  const { id, integer: int, text, bytes } = types
  const repoId = `repo_id ${int} NOT NULL PRIMARY KEY REFERENCES repos (id)`
  const table = (name: string, columns: readonly string[]): string =>
    `CREATE TABLE ${name} (${columns.join(', ')}) ${types.table}`
  const statements = [
    table('transitions', [
      `id ${id}`,
      `repo_id ${int} NOT NULL REFERENCES repos (id)`,
      `at ${text} NOT NULL`,
      `from_state ${text} NOT NULL`,
      `to_state ${text} NOT NULL`,
      `evidence ${text}`,
    ]),
    'CREATE INDEX transitions_repo ON transitions (repo_id, id)',
    table('ref_states', [repoId, `head ${bytes} NOT NULL`, `read_at ${text} NOT NULL`, `refs ${text} NOT NULL`]),
    table('rescues', [
      repoId,
      `cause ${text} NOT NULL`,
      `asked_at ${text} NOT NULL`,
      `commits_tried ${int} NOT NULL`,
      `commits_found ${int} NOT NULL`,
      `done_at ${text}`,
    ]),
    'CREATE INDEX rescues_order ON rescues (done_at, asked_at)',
  ]
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}
