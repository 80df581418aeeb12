import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import type { HubRef } from '../domain/ref-changes.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { noteDamage } from '../domain/open-damage.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { KnownRepo } from '../watch-rows.ts'
import { BoundedCache } from './bounded-cache.ts'
import { viewSnapshot, type SnapshotView } from './snapshot-view.ts'

/** How long what is known may be used before the event log is asked for news. */
const FRESH_MS = 200
/** After this everything about names is read again, news or not. */
const STALE_MS = 10_000
const EVENTS_PER_READ = 1000
/** Events about damage that are looked at: more than an archive has blobs that nobody repaired. */
const MOST_DAMAGE = 100_000
const MOST_NAMES = 5000
/** Files of all views together. */
const MOST_FILES = 200_000

/** What the mirror reads of an archive. */
export type ReadableArchive = Pick<OpenedArchive, 'catalog' | 'records' | 'blobs' | 'clock' | 'log'>

export interface NamedRow extends RepoRow {
  readonly known: KnownRepo | undefined
  /** Branches and tags as they were read last. */
  readonly refs: readonly HubRef[]
}

/**
 * Every repository that a name means, with what the Hub last said of each. First the one that was archived first: nobody
 * takes its place here by taking its name.
 */
export interface NamedRepo {
  /** The name by which it is served. */
  readonly ref: RepoRef
  readonly rows: readonly NamedRow[]
}

/**
 * The archive as the mirror shows it: sealed commits by name and revision. What was read once is kept, bounded, until the
 * event log tells of a change; then new seals and quarantined blobs show within a moment.
 */
export class ArchiveView {
  readonly #archive: ReadableArchive
  readonly #names = new BoundedCache<string, NamedRepo | 'unknown'>(MOST_NAMES)
  readonly #views = new BoundedCache<string, Promise<SnapshotView>>(MOST_FILES)
  readonly #damaged = new Set<Sha256>()
  #seq: number | undefined
  #checkedAt = Number.NEGATIVE_INFINITY
  #readAt = Number.NEGATIVE_INFINITY
  #refreshing: Promise<void> | undefined
  /** Grows with every change that was noticed. */
  #version = 0

  constructor(archive: ReadableArchive) {
    this.#archive = archive
  }

  get version(): number {
    return this.#version
  }

  /** Whether what is known may be used without another look. */
  get isFresh(): boolean {
    const age = this.#archive.clock.now() - this.#checkedAt
    return age >= 0 && age < FRESH_MS
  }

  /** Makes the next look find what has just happened. */
  expire(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY
  }

  /** Looks for news unless what is known is fresh. @throws ArchiveError when the catalog cannot be read */
  async refresh(): Promise<void> {
    if (this.isFresh) return
    await (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)))
  }

  /** Whether a blob is known to be missing or corrupt, and not known to be good again. */
  isDamaged(sha256: Sha256): boolean {
    return this.#damaged.has(sha256)
  }

  /** undefined for a name that no repository has or had. */
  async repoNamed(ref: RepoRef): Promise<NamedRepo | undefined> {
    const key = printRepo(ref).toLowerCase()
    const cached = this.#names.get(key)
    if (cached !== undefined) return cached === 'unknown' ? undefined : cached
    const { catalog } = this.#archive
    const rows = await catalog.reposNamed(ref)
    const named = await Promise.all(
      rows.map(async (row) => ({
        ...row,
        known: await catalog.repoByHubId(row.hubId),
        refs: await catalog.refsOf(row.repoId),
      })),
    )
    const repo = named[0] && { ref: named[0].ref, rows: named }
    this.#names.set(key, repo ?? 'unknown')
    return repo
  }

  /** The view of a sealed commit. @throws ArchiveError RECORD_INVALID, … when its records cannot be believed */
  view(row: SnapshotRow): Promise<SnapshotView> {
    const key = `${row.snapshotId}.${row.manifestRevision}`
    const cached = this.#views.get(key)
    if (cached !== undefined) return cached
    const view = this.#read(row)
    this.#views.set(key, view, row.filesListed + 10)
    view.catch(() => this.#views.delete(key))
    return view
  }

  async #read(row: SnapshotRow): Promise<SnapshotView> {
    const { records, log } = this.#archive
    const manifest = await records.readManifest(row.ref.name, row.commit)
    if (manifest === undefined) {
      throw new ArchiveError('RECORD_INVALID', `the manifest of ${printRepo(row.ref)}@${row.commit} is not on disk`, {
        hint: 'restore the file under manifests/ from a backup',
      })
    }
    const listed = await records.readListing(row.ref.name, row.commit).catch((error: unknown) => {
      log.warn({ component: 'mirror', commit: row.commit, err: error }, 'listing not readable')
      return undefined
    })
    return viewSnapshot(row, manifest, listed?.listing)
  }

  async #refresh(): Promise<void> {
    const { catalog, clock } = this.#archive
    const startedAt = clock.now()
    const seq = this.#seq ?? (await catalog.events({ limit: 1 }))[0]?.seq ?? 0
    const news = this.#seq === undefined ? await this.#firstNews() : await this.#newsSince(seq)
    if (news.length > 0 || !(startedAt - this.#readAt >= 0 && startedAt - this.#readAt < STALE_MS)) {
      this.#names.clear()
      this.#version += 1
      this.#readAt = startedAt
    }
    for (const event of news) noteDamage(this.#damaged, event)
    this.#seq = Math.max(seq, news.at(-1)?.seq ?? 0)
    this.#checkedAt = startedAt
  }

  async #newsSince(seq: number): Promise<LoggedEvent[]> {
    const news: LoggedEvent[] = []
    for (;;) {
      const since = news.at(-1)?.seq ?? seq
      const page = await this.#archive.catalog.events({ since, limit: EVENTS_PER_READ })
      news.push(...page)
      if (page.length < EVENTS_PER_READ) return news
    }
  }

  /** All that is known of damage, in the order in which it happened. */
  async #firstNews(): Promise<LoggedEvent[]> {
    const { catalog } = this.#archive
    const failed = await catalog.events({ type: 'fixity-failed', limit: MOST_DAMAGE })
    const repaired = await catalog.events({ type: 'fixity-repaired', limit: MOST_DAMAGE })
    return [...failed, ...repaired].sort((a, b) => a.seq - b.seq)
  }
}
