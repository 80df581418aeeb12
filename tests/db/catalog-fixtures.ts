import { createHash } from 'node:crypto'
import type { FileDecision } from '../../src/domain/decision.ts'
import type { CommitId, Digests, GitOid, HubId, Sha256 } from '../../src/domain/digest.ts'
import type { ChangeEvent, EventType } from '../../src/domain/events.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import type { Attestor } from '../../src/domain/manifest.ts'
import type { RepoFacts, RepoName, RepoRef } from '../../src/domain/repo.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import type { Log } from '../../src/log-port.ts'
import type { PollRecord } from '../../src/watch-rows.ts'
import type { Job, ListingRecord } from '../../src/work-rows.ts'

export const AT = '2026-03-01T00:00:00.000Z'
export const LATER = '2026-03-02T00:00:00.000Z'
export const WATCH = 'org:Qwen'
export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** Files below this are small in these tests. */
const SMALL_BELOW = 1000

export function isSmall(file: Sibling): boolean {
  return file.size < SMALL_BELOW
}

/** Hex digits that follow from a text. */
export function hexOf(text: string, digits: 24 | 40 | 64): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}

export const commitOf = (text: string): CommitId => hexOf(`commit ${text}`, 40) as CommitId
export const hubIdOf = (text: string): HubId => hexOf(`repo ${text}`, 24) as HubId
export const sha256Of = (text: string): Sha256 => hexOf(`sha256 ${text}`, 64) as Sha256
export const gitOidOf = (text: string): GitOid => hexOf(`git ${text}`, 40) as GitOid

export function refOf(name: string): RepoRef {
  return { type: 'model', name: name as RepoName }
}

/** A repository whose hub id and head follow from its name. */
export function factsOf(name: string, change: Partial<RepoFacts> = {}): RepoFacts {
  return {
    ref: refOf(name),
    hubId: hubIdOf(name),
    commit: commitOf(name),
    createdAt: AT,
    lastModified: AT,
    gated: false,
    private: false,
    disabled: false,
    tags: [],
    cardData: undefined,
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
    ...change,
  }
}

/** A large file; equal `content` is equal bytes. */
export function largeFile(path: string, size = 5000, content = path): Sibling {
  return {
    path,
    size,
    gitOid: gitOidOf(`pointer ${content}`),
    isLfs: true,
    lfsOid: sha256Of(content),
    xetHash: hexOf(`xet ${content}`, 64),
  }
}

/** A small file; equal `content` is equal bytes. */
export function smallFile(path: string, size = 10, content = path): Sibling {
  return { path, size, gitOid: gitOidOf(content), isLfs: false, lfsOid: undefined, xetHash: undefined }
}

export function eventOf(type: EventType = 'repo-updated', change: Partial<ChangeEvent> = {}): ChangeEvent {
  return { type, severity: 'info', repo: refOf('Qwen/A'), at: AT, before: null, after: 'x', detail: {}, ...change }
}

/** Every file is taken, except those named in `skip`. */
export function decide(files: readonly Sibling[], skip: readonly string[] = []): FileDecision[] {
  return files.map(({ path }) =>
    skip.includes(path)
      ? { path, take: false, reason: 'format-not-wanted', detail: `${path} is of a format that is not kept` }
      : { path, take: true, reason: 'wanted', detail: 'wanted by the policy' },
  )
}

export function pollOf(change: Partial<PollRecord> = {}): PollRecord {
  const nothing = { changed: [], unchanged: [], missing: [], states: [], events: [] }
  return { watch: WATCH, at: AT, isFirst: true, ...nothing, ...change }
}

/** Records repositories as they are. Returns their ids in order. */
export async function addRepos(catalog: Catalog, ...repos: readonly RepoFacts[]): Promise<number[]> {
  await catalog.recordPoll(pollOf({ changed: repos.map((facts) => ({ facts, upstream: 'ok' as const })) }))
  const ids: number[] = []
  for (const facts of repos) ids.push((await catalog.repoByHubId(facts.hubId))?.repoId ?? -1)
  return ids
}

export function listingRecordOf(
  repoId: number,
  name: string,
  files: readonly Sibling[],
  change: Partial<ListingRecord> & { commit?: CommitId; skip?: readonly string[] } = {},
): ListingRecord {
  const { commit = commitOf(name), skip = [], ...rest } = change
  return {
    repoId,
    listing: {
      format: 'weightvault-listing/1',
      repo: { ...refOf(name), hubId: hubIdOf(name) },
      commit,
      endpoint: 'https://huggingface.co',
      observedAt: AT,
      createdAt: AT,
      lastModified: AT,
      gated: false,
      license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
      tags: [],
      cardData: undefined,
      files,
      refused: [],
    },
    decisions: decide(files, skip),
    policyKey: 'policy-1',
    isSmall,
    events: [],
    ...rest,
  }
}

/** A new repository with one listed snapshot, admitted by the schedule. */
export async function addListed(
  catalog: Catalog,
  name: string,
  files: readonly Sibling[],
  skip: readonly string[] = [],
): Promise<{ repoId: number; snapshotId: number }> {
  const [repoId = -1] = await addRepos(catalog, factsOf(name))
  const { snapshotId } = await catalog.recordListing(listingRecordOf(repoId, name, files, { skip }))
  await admitAll(catalog)
  return { repoId, snapshotId }
}

/** Lets every pending snapshot move, in the order of its id. */
export async function admitAll(catalog: Catalog): Promise<void> {
  const pending = await catalog.pendingSnapshots()
  const ids = pending.map((snapshot) => snapshot.snapshotId).toSorted((a, b) => a - b)
  await catalog.applySchedule(ids.map((snapshotId, rank) => ({ snapshotId, rank, hold: 'none' as const })))
}

export const ANY_JOB = { nowMs: 1000, smallOnly: false }

/** The digests that a job's bytes have. */
export function digestsOf(job: Job): Digests {
  const [kind, digest = ''] = job.key.split('-')
  return {
    sha256: (kind === 'sha256' ? digest : sha256Of(`bytes of ${digest}`)) as Sha256,
    gitOid: (kind === 'git' ? digest : gitOidOf(`bytes of ${digest}`)) as GitOid,
    size: job.size,
  }
}

/** Completes one job. Returns the snapshots that became complete. */
export async function completeOne(
  catalog: Catalog,
  jobId: number,
  digests: Digests,
  attestedBy: readonly Attestor[],
  at: string,
): Promise<number[]> {
  return (await catalog.completeJobs([{ jobId, digests, attestedBy }], at)).complete
}

/** Leases and completes until nothing is due. Returns the snapshots that became complete, in order. */
export async function fetchAll(catalog: Catalog, at = AT): Promise<number[]> {
  const complete: number[] = []
  for (let turn = 0; turn < 10_000; turn += 1) {
    const job = await catalog.leaseJob(ANY_JOB)
    if (job === undefined) return complete
    const attestedBy = [job.key.startsWith('git') ? ('hub-git-oid' as const) : ('hub-lfs-oid' as const)]
    complete.push(...(await completeOne(catalog, job.jobId, digestsOf(job), attestedBy, at)))
  }
  throw new Error('the queue does not end')
}
