import { sql } from 'kysely'
import type { ContentKey } from '../domain/listing.ts'
import type { ContentSource } from '../hub-port.ts'
import { commitOf, digestOfKey, pathOfKey, refOf } from './codec.ts'
import { IS_ELSEWHERE } from './conditions.ts'
import { idList } from './id-list.ts'
import type { Db } from './schema.ts'

const MAX_SOURCES = 10
/** Of so many that list a content, the best ten are asked: a licence text may be wanted by every repository. */
const SOURCES_CONSIDERED = 200

interface SourceRow {
  job_id: number
  repo_id: number
  type: string
  name: string
  commit_id: Buffer
  path_key: Buffer
  faults: number | null
  until_ms: number | null
}

/**
 * Where the contents of these jobs can be asked for, best first: those that never served other bytes, of repositories
 * that answer. Whoever wants the content comes first, then who only lists it.
 */
export async function sourcesOf(db: Db, jobIds: readonly number[]): Promise<Map<number, ContentSource[]>> {
  const ids = idList(jobIds)
  const found =
    await sql<SourceRow>`SELECT wanted.job_id, repos.id AS repo_id, repos.type, repos.name, snapshots.commit_id, wanted.path_key,
      source_faults.faults, source_faults.until_ms
    FROM (
      SELECT jobs.id AS job_id, jobs.digest, job_files.snapshot_id, job_files.path_key, 0 AS is_elsewhere,
        ROW_NUMBER() OVER (PARTITION BY jobs.id) AS nth
      FROM jobs CROSS JOIN job_files WHERE jobs.id IN ${ids} AND job_files.job_id = jobs.id
      UNION ALL
      SELECT jobs.id, jobs.digest, files.snapshot_id, files.path_key, 1, ROW_NUMBER() OVER (PARTITION BY jobs.id)
      FROM jobs CROSS JOIN files
      WHERE jobs.id IN ${ids} AND ${IS_ELSEWHERE} AND files.lfs_oid = jobs.digest AND files.size = jobs.size
    ) AS wanted
    JOIN snapshots ON snapshots.id = wanted.snapshot_id
    JOIN repos ON repos.id = snapshots.repo_id
    LEFT JOIN source_faults ON source_faults.digest = wanted.digest AND source_faults.repo_id = repos.id
    WHERE wanted.nth <= ${sql.lit(SOURCES_CONSIDERED)}
    ORDER BY wanted.job_id, COALESCE(source_faults.faults, 0),
      CASE repos.upstream WHEN 'ok' THEN 0 WHEN 'unknown' THEN 1 WHEN 'renamed' THEN 2 WHEN 'gated' THEN 3 ELSE 4 END,
      wanted.is_elsewhere, snapshots.id DESC, wanted.path_key`.execute(db)
  const sources = new Map<number, ContentSource[]>()
  for (const row of found.rows) {
    const known = sources.get(row.job_id) ?? []
    if (known.length < MAX_SOURCES) known.push(sourceOf(row))
    sources.set(row.job_id, known)
  }
  return sources
}

function sourceOf(row: SourceRow): ContentSource {
  return {
    origin: 'hub',
    repoId: row.repo_id,
    ref: refOf(row),
    commit: commitOf(row.commit_id),
    path: pathOfKey(row.path_key),
    faults: row.faults ?? 0,
    notBeforeMs: row.until_ms ?? 0,
  }
}

/** A repository served other bytes than it promises: asked for this content after all others, and not before that time. */
export async function demoteSource(db: Db, key: ContentKey, repoId: number, notBeforeMs: number): Promise<void> {
  await db
    .insertInto('source_faults')
    .values({ digest: digestOfKey(key), repo_id: repoId, faults: 1, until_ms: notBeforeMs })
    .onConflict((conflict) =>
      conflict.columns(['digest', 'repo_id']).doUpdateSet((eb) => ({
        faults: eb('source_faults.faults', '+', 1),
        until_ms: notBeforeMs,
      })),
    )
    .execute()
}
