import type { UpstreamState } from '../domain/repo-state.ts'
import type { AdoptedBlob } from '../find-rows.ts'
import { DECISION_REASONS, type DecisionReason, type FileDecision } from '../domain/decision.ts'
import type { CommitId, Sha256 } from '../domain/digest.ts'
import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import type { EventType, LoggedEvent } from '../domain/events.ts'
import { isOldCommit, type Listing } from '../domain/listing.ts'
import type { Manifest } from '../domain/manifest.ts'
import { decideFiles, policyKeyOf } from '../domain/policy.ts'
import { GATE_VALUES, printRepo, type Gate, type RepoName } from '../domain/repo.ts'
import { claimingWatch, keyByHand } from '../domain/watch.ts'
import { isSmallFile } from '../domain/weight-file.ts'
import { DEFAULT_KEEP } from '../pipeline/plan-snapshots.ts'
import { nowIso, type PipelineDeps } from '../pipeline/deps.ts'

const EVENTS_PER_WRITE = 500
const BLOBS_PER_WRITE = 256

/** What was made again. */
export interface Rebuilt {
  events: number
  snapshots: number
  sealed: number
  blobs: number
  /** Blobs that manifests hold and that are not on disk; they are wanted again. */
  missingBlobs: number
  /** Records that cannot be read; the rest is made all the same. */
  readonly unreadable: { readonly repo: string; readonly commit: CommitId; readonly message: string }[]
}

/** One stored listing, as far as the order needs it. */
interface Stored {
  readonly name: RepoName
  readonly commit: CommitId
  readonly observedAt: string
}

/** What an event says of its repository's upstream state. */
const STATES = new Map<EventType, UpstreamState>([
  ['repo-unavailable', 'unavailable'],
  ['repo-disabled', 'disabled'],
  ['repo-recreated', 'recreated'],
  ['repo-restored', 'ok'],
])

/**
 * Makes the catalog again from listings, manifests, blobs and the event journal, in the order in which it all happened.
 * Bytes are believed by their manifest and their size; `verify` reads them. Every step may be repeated: an interrupted
 * rebuild is run again.
 */
export async function rebuildCatalog(deps: PipelineDeps, signal: AbortSignal): Promise<Rebuilt> {
  const result: Rebuilt = { events: 0, snapshots: 0, sealed: 0, blobs: 0, missingBlobs: 0, unreadable: [] }
  await deps.blobs.assertMounted()
  const { states, gates } = await importEvents(deps, result, signal)
  for (const stored of await inOrder(deps, result, signal)) {
    signal.throwIfAborted()
    await addSnapshot(deps, stored, { result, gates }, signal)
  }
  await setStates(deps, states)
  // What was in danger then was put in front then.
  const upToSeq = (await deps.catalog.totals()).lastSeq
  await deps.catalog.startRescues({ repos: [], at: nowIso(deps), upToSeq })
  return result
}

/** The last event of each repository that tells its state, and the last that tells its gate. */
interface Told {
  readonly states: ReadonlyMap<string, LoggedEvent>
  readonly gates: ReadonlyMap<string, LoggedEvent>
}

async function importEvents(deps: PipelineDeps, result: Rebuilt, signal: AbortSignal): Promise<Told> {
  const states = new Map<string, LoggedEvent>()
  const gates = new Map<string, LoggedEvent>()
  let batch: LoggedEvent[] = []
  const write = async (): Promise<void> => {
    result.events += await deps.catalog.importEvents(batch)
    batch = []
  }
  for await (const event of deps.records.journal()) {
    signal.throwIfAborted()
    if (event.repo !== undefined && STATES.has(event.type)) states.set(printRepo(event.repo), event)
    if (event.repo !== undefined && event.type === 'gate-changed') gates.set(printRepo(event.repo), event)
    batch.push(event)
    if (batch.length >= EVENTS_PER_WRITE) await write()
  }
  await write()
  await deps.catalog.markExported(await deps.records.lastEventSeq())
  return { states, gates }
}

/**
 * Heads follow each other as they were seen: the last one listed is the head. Old commits that a rescue listed later were
 * none, and come before all of them.
 */
async function inOrder(deps: PipelineDeps, result: Rebuilt, signal: AbortSignal): Promise<Stored[]> {
  const all: Stored[] = []
  for await (const { name, commit } of deps.records.listings()) {
    signal.throwIfAborted()
    try {
      const read = await deps.records.readListingHead(name, commit)
      if (read === undefined) continue
      all.push({ name, commit, observedAt: isOldCommit(read.listing) ? '' : read.listing.observedAt })
    } catch (error) {
      if (errorCodeOf(error) !== 'RECORD_INVALID') throw error
      result.unreadable.push({ repo: name, commit, message: (error as Error).message })
    }
  }
  return all.toSorted((a, b) => (a.observedAt < b.observedAt ? -1 : a.observedAt > b.observedAt ? 1 : 0))
}

async function addSnapshot(
  deps: PipelineDeps,
  { name, commit }: Stored,
  { result, gates }: { readonly result: Rebuilt; readonly gates: Told['gates'] },
  signal: AbortSignal,
): Promise<void> {
  const listing = (await deps.records.readListing(name, commit))?.listing
  if (listing === undefined) return
  const manifest = await readManifest(deps, listing, result)
  const { hubId } = listing.repo
  const before = await deps.catalog.repoByHubId(hubId)
  const known = before === undefined ? undefined : await deps.catalog.snapshot(before.repoId, commit)
  const snapshotId = known?.snapshotId ?? (await recordSnapshot(deps, listing, manifest, gateOf(listing, gates)))
  if (known === undefined) result.snapshots += 1
  if (manifest !== undefined && known?.manifestRevision !== manifest.revision) {
    await sealAgain(deps, manifest, snapshotId, result, signal)
  }
}

/** A gate may open or close without a commit, long after the listing. */
function gateOf({ repo, observedAt, gated }: Listing, gates: Told['gates']): Gate {
  const last = gates.get(printRepo(repo))
  if (last === undefined || last.at < observedAt) return gated
  return GATE_VALUES.find((value) => value === last.after) ?? gated
}

async function recordSnapshot(
  deps: PipelineDeps,
  listing: Listing,
  manifest: Manifest | undefined,
  gated: Gate,
): Promise<number> {
  const { catalog } = deps
  const { type, name, hubId } = listing.repo
  const ref = { type, name }
  const watch = claimingWatch(deps.settings.watches, ref)
  await catalog.recordPoll({
    watch: watch?.key ?? keyByHand(ref),
    at: listing.observedAt,
    // It answered then; what it said later is in the events, and the next poll asks.
    changed: [{ facts: { ...factsOf(listing), gated }, upstream: gated === false ? 'ok' : 'gated' }],
    unchanged: [],
    missing: [],
    states: [],
    events: [],
    isFirst: true,
  })
  const repo = await catalog.repoByHubId(hubId)
  if (repo === undefined) throw new Error(`${printRepo(ref)} was recorded`)
  const keep = watch?.keep ?? DEFAULT_KEEP
  const { snapshotId } = await catalog.recordListing({
    repoId: repo.repoId,
    listing,
    decisions: manifest === undefined ? decideFiles(listing.files, keep) : decisionsOf(manifest),
    policyKey: policyKeyOf(keep),
    isSmall: isSmallFile,
    events: [],
  })
  deps.progress.listed(ref, listing.commit, listing.files.length, sizeOf(listing))
  return snapshotId
}

function sizeOf(listing: Listing): number {
  return listing.files.reduce((sum, file) => sum + file.size, 0)
}

function factsOf(listing: Listing) {
  const { type, name, hubId } = listing.repo
  const { commit, createdAt, lastModified, gated, license, tags, cardData } = listing
  const isOpen = { private: false, disabled: false }
  return { ref: { type, name }, hubId, commit, createdAt, lastModified, gated, license, tags, cardData, ...isOpen }
}

async function readManifest(deps: PipelineDeps, listing: Listing, result: Rebuilt): Promise<Manifest | undefined> {
  const { repo, commit } = listing
  try {
    return await deps.records.readManifest(repo.name, commit)
  } catch (error) {
    if (errorCodeOf(error) !== 'RECORD_INVALID') throw error
    result.unreadable.push({ repo: printRepo(repo), commit, message: (error as Error).message })
    return undefined
  }
}

/** What a manifest holds was wanted; why the rest was not, it says. */
function decisionsOf(manifest: Manifest): FileDecision[] {
  return manifest.files.map(({ path, held, reason }) => ({
    path,
    take: held,
    reason: DECISION_REASONS.find((known): known is DecisionReason => known === reason) ?? 'not-decided',
    detail: 'as the manifest says',
  }))
}

/** A snapshot that lacks blobs is not sealed: they are fetched again, and its manifest is found then. */
async function sealAgain(
  deps: PipelineDeps,
  manifest: Manifest,
  snapshotId: number,
  result: Rebuilt,
  signal: AbortSignal,
): Promise<void> {
  let isWhole = true
  const made = new Set<Sha256>()
  let batch: AdoptedBlob[] = []
  const write = async (): Promise<void> => {
    if (batch.length > 0) await deps.catalog.adoptBlobs(batch, manifest.sealedAt)
    batch = []
  }
  for (const { held, sha256, gitOid, size, attestedBy } of manifest.files) {
    if (!held || sha256 === null) continue
    signal.throwIfAborted()
    if ((await deps.blobs.sizeOf(sha256)) !== size) {
      isWhole = false
      result.missingBlobs += 1
      continue
    }
    // Of an LFS file the git id is the pointer's.
    const isPlain = attestedBy.includes('hub-git-oid') && gitOid !== null
    if (!(await deps.catalog.holdsBlob(sha256))) made.add(sha256)
    batch.push({ sha256, gitOid: isPlain ? gitOid : undefined, size, attestedBy })
    if (batch.length >= BLOBS_PER_WRITE) await write()
  }
  await write()
  result.blobs += made.size
  if (!isWhole) return
  const { revision, coverage, sealedAt } = manifest
  await deps.catalog.recordSealed(snapshotId, revision, coverage, sealedAt, [])
  result.sealed += 1
}

async function setStates(deps: PipelineDeps, states: ReadonlyMap<string, LoggedEvent>): Promise<void> {
  for (const event of states.values()) {
    const row = event.repo === undefined ? undefined : await deps.catalog.repoRow(event.repo)
    const upstream = STATES.get(event.type)
    if (row === undefined || upstream === undefined || row.upstream === upstream) continue
    // It was listed again since.
    if (row.lastSeenAt > event.at) continue
    await deps.catalog.recordPoll({
      watch: row.watch,
      at: event.at,
      changed: [],
      unchanged: [],
      missing: [],
      states: [{ repoId: row.repoId, upstream, evidence: event.detail['evidence'] ?? { event: event.seq } }],
      events: [],
      isFirst: false,
    })
  }
}

/** @throws ArchiveError CATALOG_UNUSABLE for a catalog that has something already */
export async function assertEmptyCatalog(deps: Pick<PipelineDeps, 'catalog' | 'root'>): Promise<void> {
  const { repos } = await deps.catalog.totals()
  // Beside events of its own the log would not take the older ones of the journal.
  const [event] = await deps.catalog.events({ since: 0, limit: 1 })
  if (repos === 0 && event === undefined) return
  const has = repos === 0 ? 'events' : `repositories (${repos})`
  throw new ArchiveError('CATALOG_UNUSABLE', `the catalog of ${deps.root} has ${has} already`, {
    hint: 'rebuild fills an empty one: move catalog.db, catalog.db-wal and catalog.db-shm away and run it again; --continue goes on with a rebuild that was interrupted',
  })
}
