import type { UpstreamState } from '../domain/repo-state.ts'
import type { TransitionRow } from '../watch-rows.ts'
import { fromJson, toJson } from './codec.ts'
import type { Db } from './schema.ts'

/** Notes a change of a repository's state with what proves it; the same state again is none. */
export async function noteTransition(
  db: Db,
  change: {
    readonly repoId: number
    readonly at: string
    readonly from: string
    readonly to: UpstreamState
    readonly evidence: unknown
  },
): Promise<void> {
  const { repoId, at, from, to, evidence } = change
  if (from === to) return
  await db
    .insertInto('transitions')
    .values({ repo_id: repoId, at, from_state: from, to_state: to, evidence: toJson(evidence ?? null) })
    .execute()
}

/** The newest changes of a repository's state, oldest of them first. */
export async function transitionsOf(db: Db, repoId: number, limit: number): Promise<TransitionRow[]> {
  const rows = await db
    .selectFrom('transitions')
    .selectAll()
    .where('repo_id', '=', repoId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.reverse().map((row) => ({
    at: row.at,
    from: row.from_state as UpstreamState,
    to: row.to_state as UpstreamState,
    evidence: fromJson(row.evidence),
  }))
}
