import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import { errorCodeOf } from '../domain/errors.ts'
import { planHubCache } from '../domain/export-plan.ts'
import { matchGlob } from '../domain/glob.ts'
import { printRepo, type RepoName } from '../domain/repo.ts'
import type { View } from '../domain/settings.ts'
import type { PipelineDeps } from '../pipeline/deps.ts'

const REPOS_PER_PAGE = 200

/** The link of a view must be the blob itself: a copy would double the disk, and nobody would see that it is old. */
const LINKS = { link: 'hard', verify: false, refs: 'replace', onFile: () => {} } as const

/** Keeps the views of one process up to date. */
export class ViewKeeper {
  /** View and repository → commit, manifest revision, and the code of what kept it from being shown. */
  readonly #shown = new Map<string, string>()
  #seq = -1

  /**
   * Brings every view up to date, if anything happened since the last call: the newest sealed commit of each repository is
   * in it, its branch file last. Earlier commits stay. A snapshot appears whole or not at all, and what is shown already
   * costs a look at its names. A view that cannot be kept is told in the log and keeps nothing else from going on.
   * @returns how many snapshots were shown anew
   */
  async keep(deps: PipelineDeps, signal: AbortSignal): Promise<number> {
    const { views } = deps.settings
    if (views.length === 0) return 0
    const { lastSeq } = await deps.catalog.totals()
    if (lastSeq === this.#seq) return 0
    let updated = 0
    for await (const row of sealedRepos(deps)) {
      for (const view of views) {
        signal.throwIfAborted()
        if (!view.repos.some((pattern) => matchGlob(pattern, row.ref.name))) continue
        if (await this.#show(deps, view, row, signal)) updated += 1
      }
    }
    this.#seq = lastSeq
    return updated
  }

  /** Returns whether anything was made. */
  async #show(deps: PipelineDeps, view: View, row: RepoRow, signal: AbortSignal): Promise<boolean> {
    const { newest } = row
    if (newest === undefined) return false
    const key = `${view.path}\n${row.repoId}`
    const state = `${newest.commit} ${newest.manifestRevision}`
    const before = this.#shown.get(key)
    if (before === state) return false
    try {
      const made = await showSnapshot(deps, view, row, newest, signal)
      this.#shown.set(key, state)
      return made
    } catch (error) {
      signal.throwIfAborted()
      const code = errorCodeOf(error)
      const fields = { component: 'views', view: view.path, repo: printRepo(row.ref), code, err: error }
      // Tried again each time, told once.
      if (before !== `${state} ${code}`) deps.log.error(fields, 'view not updated')
      this.#shown.set(key, `${state} ${code}`)
      return false
    }
  }
}

async function* sealedRepos(deps: PipelineDeps): AsyncGenerator<RepoRow> {
  let after: RepoName | undefined
  for (;;) {
    const page = { after, limit: REPOS_PER_PAGE, withSnapshots: false }
    const rows = await deps.catalog.listRepos({ state: 'sealed' }, page)
    yield* rows
    if (rows.length < REPOS_PER_PAGE) return
    after = rows.at(-1)?.ref.name
  }
}

async function showSnapshot(
  deps: PipelineDeps,
  view: View,
  row: RepoRow,
  snapshot: SnapshotRow,
  signal: AbortSignal,
): Promise<boolean> {
  const manifest = await deps.records.readManifest(snapshot.ref.name, snapshot.commit)
  if (manifest === undefined) return false
  // Under the name it has now: that is what people ask for.
  const plan = planHubCache({ ...manifest, repo: { ...manifest.repo, ...row.ref } }, [])
  if (plan.entries.length === 0) return false
  return (await deps.blobs.exportFiles(view.path, plan, LINKS, signal)).made > 0
}
