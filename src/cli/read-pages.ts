import type { FileRow, RepoFilter, RepoRow } from '../archive-rows.ts'
import type { RepoName } from '../domain/repo.ts'
import type { Catalog } from '../catalog-port.ts'
import type { PlanRow } from '../work-rows.ts'

const REPOS_A_PAGE = 200
const FILES_A_PAGE = 500

/** Every repository that passes the filter, by name, a page at a time. At most `limit`. */
export async function* eachRepo(
  catalog: Pick<Catalog, 'listRepos'>,
  filter: RepoFilter,
  page: { after: RepoName | undefined; limit: number; withSnapshots: boolean },
  signal: AbortSignal,
): AsyncIterable<RepoRow> {
  let { after } = page
  let left = page.limit
  while (left > 0) {
    signal.throwIfAborted()
    const limit = Math.min(REPOS_A_PAGE, left)
    const rows = await catalog.listRepos(filter, { after, limit, withSnapshots: page.withSnapshots })
    yield* rows
    if (rows.length < limit) return
    left -= rows.length
    after = rows.at(-1)!.ref.name
  }
}

/** Every file of a snapshot, by path, a page at a time. */
export async function* eachFile(
  catalog: Pick<Catalog, 'files'>,
  snapshotId: number,
  signal: AbortSignal,
): AsyncIterable<FileRow> {
  let after: string | undefined
  for (;;) {
    signal.throwIfAborted()
    const rows = await catalog.files(snapshotId, { after, limit: FILES_A_PAGE })
    yield* rows
    if (rows.length < FILES_A_PAGE) return
    after = rows.at(-1)!.path
  }
}

/** Every file of the plan, taken or skipped, in the order of work, a page at a time. */
export async function* eachPlanRow(
  catalog: Pick<Catalog, 'planRows'>,
  taken: boolean,
  signal: AbortSignal,
): AsyncIterable<PlanRow> {
  let after: string | undefined
  do {
    signal.throwIfAborted()
    const page = await catalog.planRows({ after, limit: FILES_A_PAGE, taken })
    yield* page.rows
    after = page.next
  } while (after !== undefined)
}
