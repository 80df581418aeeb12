import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import type { RepoName, RepoType } from '../domain/repo.ts'
import { printRepo, splitRepoName } from '../domain/repo.ts'
import type { ArchiveView, ReadableArchive } from './archive-view.ts'
import { BoundedCache } from './bounded-cache.ts'
import { mainOf } from './choose-snapshot.ts'
import type { CardOf } from './repo-json.ts'

const ROWS_PER_READ = 500
/** Characters of all cards that are kept. */
const MOST_CARD_TEXT = 32_000_000

/** One repository of a list: what `main` means, with its card as archived. */
export interface ListedRepo {
  readonly row: RepoRow
  readonly main: SnapshotRow
  readonly isPrivate: boolean
  readonly card: CardOf
}

/** What a list is asked for, in the Hub's words. */
export interface ListQuery {
  readonly type: RepoType
  readonly author: string | undefined
  readonly search: string | undefined
  /** Tags; all must be there. */
  readonly tags: readonly string[]
  readonly pipelineTag: string | undefined
  readonly gated: boolean | undefined
  readonly sort: string | undefined
}

/** Every repository with something sealed, read again when the archive has changed. */
export class RepoList {
  readonly #archive: ReadableArchive
  readonly #view: ArchiveView
  readonly #cards = new BoundedCache<string, Promise<CardOf>>(MOST_CARD_TEXT)
  #version: number | undefined
  #repos: Promise<readonly ListedRepo[]> = Promise.resolve([])

  constructor(archive: ReadableArchive, view: ArchiveView) {
    this.#archive = archive
    this.#view = view
  }

  /** Those that match, in the order that was asked for. */
  async find(query: ListQuery, seesPrivate: boolean): Promise<readonly ListedRepo[]> {
    const repos = await this.#all()
    return repos.filter((repo) => (seesPrivate || !repo.isPrivate) && matches(repo, query)).sort(orderOf(query.sort))
  }

  #all(): Promise<readonly ListedRepo[]> {
    if (this.#version === this.#view.version) return this.#repos
    this.#version = this.#view.version
    const repos = this.#read()
    repos.catch(() => (this.#version = undefined))
    return (this.#repos = repos)
  }

  async #read(): Promise<readonly ListedRepo[]> {
    const { catalog } = this.#archive
    const repos: ListedRepo[] = []
    let after: RepoName | undefined
    for (;;) {
      const rows = await catalog.listRepos({}, { after, limit: ROWS_PER_READ, withSnapshots: true })
      const sharing = Map.groupBy(rows, ({ ref }) => printRepo(ref).toLowerCase())
      for (const row of rows) {
        const main = mainOf(row)
        const isAlone = sharing.get(printRepo(row.ref).toLowerCase())!.length === 1
        if (main === undefined || !(isAlone || (await this.#isMeant(row)))) continue
        const known = await catalog.repoByHubId(row.hubId)
        repos.push({ row, main, isPrivate: known?.private === true, card: await this.#card(main) })
      }
      if (rows.length < ROWS_PER_READ) return repos
      after = rows.at(-1)?.ref.name
    }
  }

  /** Of repositories that share a name, the one whose `main` is served under it. */
  async #isMeant(row: RepoRow): Promise<boolean> {
    const named = await this.#view.repoNamed(row.ref)
    return named?.rows.find((one) => mainOf(one) !== undefined)?.repoId === row.repoId
  }

  #card(snapshot: SnapshotRow): Promise<CardOf> {
    const key = `${snapshot.snapshotId}`
    const cached = this.#cards.get(key)
    if (cached !== undefined) return cached
    const card = this.#readCard(snapshot)
    this.#cards.set(key, card)
    void card
      .then((read) => this.#cards.set(key, card, JSON.stringify([read.tags, read.cardData]).length + 500))
      .catch(() => this.#cards.delete(key))
    return card
  }

  async #readCard({ ref, commit, hubId }: SnapshotRow): Promise<CardOf> {
    const { records, log } = this.#archive
    const listing = await records.readListingHead(ref.name, commit).then(
      (read) => read?.listing,
      (error: unknown) => log.warn({ component: 'mirror', commit, err: error }, 'listing not readable'),
    )
    const { gated, createdAt, lastModified, tags = [], cardData } = listing ?? {}
    return { commit, hubId, gated, createdAt, lastModified, tags, cardData }
  }
}

function matches({ row, card }: ListedRepo, query: ListQuery): boolean {
  const { type, author, search, tags, pipelineTag, gated } = query
  if (row.ref.type !== type) return false
  if (author !== undefined && splitRepoName(row.ref.name).owner.toLowerCase() !== author.toLowerCase()) return false
  if (search !== undefined && !row.ref.name.toLowerCase().includes(search.toLowerCase())) return false
  if (
    pipelineTag !== undefined &&
    card.cardData?.['pipeline_tag'] !== pipelineTag &&
    !card.tags.includes(pipelineTag)
  ) {
    return false
  }
  if (gated !== undefined && ((card.gated ?? false) !== false) !== gated) return false
  return tags.every((tag) => card.tags.includes(tag))
}

/** `createdAt` and `id` as asked; everything that we do not know (downloads, likes) by time of change. */
function orderOf(sort: string | undefined): (a: ListedRepo, b: ListedRepo) => number {
  const byName = (a: ListedRepo, b: ListedRepo): number => (a.row.ref.name < b.row.ref.name ? -1 : 1)
  if (sort === 'id') return byName
  const key = sort === 'createdAt' ? 'createdAt' : 'lastModified'
  const time = ({ card }: ListedRepo): string => card[key] ?? card.createdAt ?? ''
  return (a, b) => (time(a) === time(b) ? byName(a, b) : time(a) < time(b) ? 1 : -1)
}
