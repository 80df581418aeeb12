import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Names of column types and table endings of one database. */
export interface SqlTypes {
  readonly id: string
  readonly integer: string
  readonly text: string
  readonly bytes: string
  readonly table: string
  readonly clusteredTable: string
}

/** The first schema. */
export function initMigration(types: SqlTypes): Migration {
  const { id, integer: int, text, bytes } = types
  const table = (name: string, columns: readonly string[]): string => create(name, columns, types.table)
  const clustered = (name: string, columns: readonly string[]): string => create(name, columns, types.clusteredTable)
  const statements = [
    table('meta', [`key ${text} NOT NULL PRIMARY KEY`, `value ${text} NOT NULL`]),
    table('counters', [`name ${text} NOT NULL PRIMARY KEY`, `value ${int} NOT NULL`]),
    table('watches', [
      `id ${id}`,
      `key ${text} NOT NULL UNIQUE`,
      `last_poll_at ${text}`,
      `last_ok_at ${text}`,
      `last_error_code ${text}`,
      `last_error_message ${text}`,
    ]),
    ...repoTables({ id, int, text, bytes, table }),
    ...snapshotTables({ id, int, text, bytes, table }),
    clustered('files', [
      `snapshot_id ${int} NOT NULL REFERENCES snapshots (id)`,
      `path_key ${bytes} NOT NULL`,
      `size ${int} NOT NULL`,
      `git_oid ${bytes}`,
      `is_lfs ${int} NOT NULL`,
      `lfs_oid ${bytes}`,
      `xet_hash ${bytes}`,
      `is_small ${int} NOT NULL`,
      `take ${int} NOT NULL`,
      `reason ${int} NOT NULL`,
      `detail_id ${int} NOT NULL`,
      `blob_id ${int} REFERENCES blobs (id)`,
      'PRIMARY KEY (snapshot_id, path_key)',
    ]),
    clustered('snapshot_blobs', [
      `blob_id ${int} NOT NULL REFERENCES blobs (id)`,
      `snapshot_id ${int} NOT NULL REFERENCES snapshots (id)`,
      `verified_ms ${int} NOT NULL`,
      'PRIMARY KEY (blob_id, snapshot_id)',
    ]),
    'CREATE INDEX snapshot_blobs_oldest ON snapshot_blobs (snapshot_id, verified_ms)',
    ...jobTables({ id, int, text, bytes, table }),
    clustered('job_files', [
      `snapshot_id ${int} NOT NULL REFERENCES snapshots (id)`,
      `is_small ${int} NOT NULL`,
      `path_key ${bytes} NOT NULL`,
      `job_id ${int} NOT NULL REFERENCES jobs (id)`,
      'PRIMARY KEY (snapshot_id, is_small, path_key)',
    ]),
    'CREATE INDEX job_files_job ON job_files (job_id, snapshot_id)',
    table('events', [
      `seq ${id}`,
      `id ${text} NOT NULL UNIQUE`,
      `type ${text} NOT NULL`,
      `severity ${int} NOT NULL`,
      `repo_type ${text}`,
      `repo_name ${text}`,
      `repo_key ${text}`,
      `at ${text} NOT NULL`,
      `before ${text}`,
      `after ${text}`,
      `detail ${text} NOT NULL`,
    ]),
    'CREATE INDEX events_type ON events (type, seq)',
    'CREATE INDEX events_repo ON events (repo_key, seq)',
  ]
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}

interface Build {
  readonly id: string
  readonly int: string
  readonly text: string
  readonly bytes: string
  readonly table: (name: string, columns: readonly string[]) => string
}

function create(name: string, columns: readonly string[], ending: string): string {
  return `CREATE TABLE ${name} (${columns.join(', ')}) ${ending}`
}

function repoTables({ id, int, text, bytes, table }: Build): string[] {
  return [
    table('repos', [
      `id ${id}`,
      `hub_id ${bytes} NOT NULL UNIQUE`,
      `type ${text} NOT NULL`,
      `name ${text} NOT NULL`,
      `name_key ${text} NOT NULL`,
      `name_taken ${int} NOT NULL`,
      `head ${bytes}`,
      `head_listed ${int} NOT NULL`,
      `gated ${text}`,
      `private ${int} NOT NULL`,
      `disabled ${int} NOT NULL`,
      `license ${text} NOT NULL`,
      `license_key ${text}`,
      `created_at ${text}`,
      `last_modified ${text}`,
      `first_seen_at ${text} NOT NULL`,
      `upstream ${text} NOT NULL`,
      `upstream_evidence ${text}`,
      `misses ${int} NOT NULL`,
      `first_miss_at ${text}`,
      `watch_id ${int} NOT NULL REFERENCES watches (id)`,
      `is_new_release ${int} NOT NULL`,
      `newest_snapshot_id ${int}`,
      `state ${text}`,
      `bytes_listed ${int} NOT NULL`,
      `formats ${text} NOT NULL`,
      `quants ${text} NOT NULL`,
    ]),
    'CREATE INDEX repos_watch ON repos (watch_id, id)',
    'CREATE INDEX repos_newest ON repos (newest_snapshot_id)',
    'CREATE INDEX repos_unlisted ON repos (id) WHERE head_listed = 0',
    // Answers every page of `list` from the index alone, whatever the filters.
    'CREATE INDEX repos_list ON repos (name_key, id, license_key, state, upstream, bytes_listed, formats, quants)',
    table('cards', [
      `repo_id ${int} NOT NULL PRIMARY KEY REFERENCES repos (id)`,
      `tags ${text} NOT NULL`,
      `card_data ${text}`,
    ]),
    table('sightings', [`repo_id ${int} NOT NULL PRIMARY KEY REFERENCES repos (id)`, `seen_at ${text} NOT NULL`]),
  ]
}

function snapshotTables({ id, int, text, bytes, table }: Build): string[] {
  return [
    table('snapshots', [
      `id ${id}`,
      `repo_id ${int} NOT NULL REFERENCES repos (id)`,
      `commit_id ${bytes} NOT NULL`,
      `name ${text} NOT NULL`,
      `state ${text} NOT NULL`,
      `blocked_by ${text}`,
      `coverage ${text} NOT NULL`,
      `hold ${int} NOT NULL`,
      `rank ${int} NOT NULL`,
      `bumped_as ${int} NOT NULL`,
      `policy_key ${text} NOT NULL`,
      `listed_at ${text} NOT NULL`,
      `sealed_at ${text}`,
      `manifest_revision ${int} NOT NULL`,
      `sealed_files ${int} NOT NULL`,
      `files_listed ${int} NOT NULL`,
      `bytes_listed ${int} NOT NULL`,
      `files_wanted ${int} NOT NULL`,
      `bytes_wanted ${int} NOT NULL`,
      `files_held ${int} NOT NULL`,
      `bytes_held ${int} NOT NULL`,
      `missing_files ${int} NOT NULL`,
      `missing_large_bytes ${int} NOT NULL`,
      `formats ${text} NOT NULL`,
      `quants ${text} NOT NULL`,
      `files_undigested ${int} NOT NULL`,
      `read_at ${text} NOT NULL`,
      'UNIQUE (repo_id, commit_id)',
    ]),
    'CREATE INDEX snapshots_pending ON snapshots (rank, id) WHERE missing_files > 0',
    "CREATE INDEX snapshots_unsealed ON snapshots (id) WHERE missing_files = 0 AND state IN ('listed', 'fetching')",
    "CREATE INDEX snapshots_sealed ON snapshots (id) WHERE state = 'sealed'",
    'CREATE INDEX snapshots_rank ON snapshots (rank, id)',
    'CREATE INDEX snapshots_undigested ON snapshots (id) WHERE files_undigested > 0',
    // A repository is found by the names it had, too.
    'CREATE INDEX snapshots_name ON snapshots (LOWER(name), repo_id)',
    table('details', [`id ${id}`, `text ${text} NOT NULL UNIQUE`]),
    table('blobs', [
      `id ${id}`,
      `sha256 ${bytes} NOT NULL UNIQUE`,
      `git_oid ${bytes} NOT NULL`,
      `size ${int} NOT NULL`,
      `stored_at ${text} NOT NULL`,
      `verified_ms ${int} NOT NULL`,
      `attested_by ${int} NOT NULL`,
    ]),
    'CREATE INDEX blobs_git ON blobs (git_oid, size)',
    'CREATE INDEX blobs_verified ON blobs (verified_ms)',
  ]
}

function jobTables({ id, int, text, bytes, table }: Build): string[] {
  return [
    table('jobs', [
      `id ${id}`,
      `digest ${bytes} NOT NULL`,
      `size ${int} NOT NULL`,
      `is_small ${int} NOT NULL`,
      `state ${int} NOT NULL`,
      `rank ${int} NOT NULL`,
      `hold ${int} NOT NULL`,
      `is_runnable ${int} NOT NULL`,
      `attempts ${int} NOT NULL`,
      `until_ms ${int} NOT NULL`,
      `last_code ${text}`,
      'UNIQUE (digest, size)',
    ]),
    // The order of the queue; size, hold and code are there for the sums.
    'CREATE INDEX jobs_pick ON jobs (state, is_runnable, is_small, rank, id, size, hold, last_code)',
    'CREATE INDEX jobs_wake ON jobs (state, is_runnable, until_ms) WHERE state > 0',
  ]
}
