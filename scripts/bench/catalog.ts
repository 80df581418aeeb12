// Measures the catalog with a million files: `node scripts/bench/catalog.ts [files] [repos]`.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { quantiles, timed } from './catalog-times.ts'
import { openCatalog } from '../../src/db/open-catalog.ts'
import type { FileDecision } from '../../src/domain/decision.ts'
import type { CommitId, Digests, GitOid, HubId, Sha256 } from '../../src/domain/digest.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import type { RepoFacts, RepoName } from '../../src/domain/repo.ts'
import { isSmallFile } from '../../src/domain/weight-file.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import type { ListingRecord } from '../../src/work-rows.ts'

const PAGES_SCRIPT = fileURLToPath(new URL('catalog-pages.ts', import.meta.url))
const FILES = Number(process.argv[2] ?? 1_000_000)
const REPOS = Number(process.argv[3] ?? 50_000)
const FILES_PER_SNAPSHOT = 500
const SNAPSHOTS = Math.ceil(FILES / FILES_PER_SNAPSHOT)
/** One file in ten is wanted: what makes jobs. */
const WANTED_EVERY = 10
const POLL_REPOS = 5000
const AT = '2026-11-01T00:00:00.000Z'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const rows: [name: string, value: string][] = []

function hex(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}

function say(name: string, value: string): void {
  rows.push([name, value])
  console.log(`${name.padEnd(58)} ${value.padStart(24)}`)
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
const rate = (count: number, ms: number): string => `${Math.round((count / ms) * 1000).toLocaleString('en')} /s`

const FORMAT_NAMES = ['gguf', 'safetensors', 'bin', 'onnx'] as const
const LICENSES = ['apache-2.0', 'mit', 'qwen', 'qwen-research', 'cc-by-nc-4.0'] as const

function facts(at: number): RepoFacts {
  return {
    ref: { type: 'model', name: `owner-${at % 50}/Qwen3.5-${at}B-A${at % 22}B-Instruct-GGUF` as RepoName },
    hubId: hex(`repo ${at}`, 24) as HubId,
    commit: hex(`commit ${at}`, 40) as CommitId,
    createdAt: AT,
    lastModified: AT,
    gated: false,
    private: false,
    disabled: false,
    tags: ['transformers', 'safetensors', 'text-generation', 'conversational', `license:${LICENSES[at % 5]}`],
    cardData: { license: LICENSES[at % 5], base_model: 'Qwen/Qwen3.5-397B-A17B', pipeline_tag: 'text-generation' },
    license: { license: LICENSES[at % 5], license_name: undefined, license_link: undefined },
  }
}

/** Files as quantisers publish them: shards in folders, each with its three digests, and some small ones. */
function files(snapshot: number, count: number): Sibling[] {
  const format = FORMAT_NAMES[snapshot % FORMAT_NAMES.length] ?? 'gguf'
  return Array.from({ length: count }, (_, at) => {
    const seed = `${snapshot} ${at}`
    const gitOid = hex(`git ${seed}`, 40) as GitOid
    if (at % 4 === 0) {
      const path = `assets/configs/generation_config.${at}.json`
      return { path, size: 1000 + at, gitOid, isLfs: false, lfsOid: undefined, xetHash: undefined }
    }
    const number = String(at).padStart(5, '0')
    return {
      path: `UD-Q4_K_XL/Qwen3.5-397B-A17B-Instruct-${number}-of-00500.${format}`,
      size: 4_000_000_000 + at,
      gitOid,
      isLfs: true,
      lfsOid: hex(`lfs ${seed}`, 64) as Sha256,
      xetHash: hex(`xet ${seed}`, 64),
    }
  })
}

function decide(siblings: readonly Sibling[], wantedEvery: number): FileDecision[] {
  return siblings.map((file, at) => {
    if (at % wantedEvery === 0) return { path: file.path, take: true, reason: 'wanted', detail: 'wanted by the policy' }
    const detail = 'UD-Q4_K_XL is not in keep.quants (Q8_0, Q4_K_M)'
    return { path: file.path, take: false, reason: 'quant-not-wanted', detail }
  })
}

function listingRecord(at: number, repoId: number, siblings: readonly Sibling[], wantedEvery: number): ListingRecord {
  const { ref, hubId, commit, license } = facts(at)
  return {
    repoId,
    listing: {
      format: 'weightvault-listing/1',
      repo: { ...ref, hubId },
      commit: commit ?? (hex(`commit ${at}`, 40) as CommitId),
      endpoint: 'https://huggingface.co',
      observedAt: AT,
      createdAt: AT,
      lastModified: AT,
      gated: false,
      license,
      tags: [],
      cardData: undefined,
      files: siblings,
      refused: [],
    },
    decisions: decide(siblings, wantedEvery),
    policyKey: 'policy-1',
    isSmall: isSmallFile,
    events: [],
  }
}

const noChange = { changed: [], unchanged: [], missing: [], states: [], events: [], isFirst: true }

async function pollAll(catalog: Catalog): Promise<void> {
  const { ms } = await timed(async () => {
    for (let at = 0; at < REPOS; at += POLL_REPOS) {
      const changed = Array.from({ length: Math.min(POLL_REPOS, REPOS - at) }, (_, more) => facts(at + more))
      await catalog.recordPoll({
        ...noChange,
        watch: 'org:bench',
        at: AT,
        changed: changed.map((repo) => ({ facts: repo, upstream: 'ok' })),
      })
    }
  })
  say(`first poll of ${REPOS.toLocaleString('en')} repos`, seconds(ms))
  const unchanged = Array.from({ length: REPOS }, (_, at) => at + 1)
  const again = await timed(() => catalog.recordPoll({ ...noChange, watch: 'org:bench', at: AT, unchanged }))
  say(`the same poll, nothing changed`, seconds(again.ms))
}

async function listAll(catalog: Catalog): Promise<void> {
  let ms = 0
  let worst = 0
  for (let at = 0; at < SNAPSHOTS; at += 1) {
    const record = listingRecord(at, at + 1, files(at, FILES_PER_SNAPSHOT), WANTED_EVERY)
    const one = await timed(() => catalog.recordListing(record))
    ms += one.ms
    worst = Math.max(worst, one.ms)
  }
  say(`insert ${FILES.toLocaleString('en')} files in ${SNAPSHOTS} listings`, rate(SNAPSHOTS * FILES_PER_SNAPSHOT, ms))
  say('slowest of these listings', `${worst.toFixed(1)} ms`)
}

async function refreshAll(catalog: Catalog, policyKey: string, name: string): Promise<void> {
  let ms = 0
  for (let at = 0; at < SNAPSHOTS; at += 1) {
    const decisions = decide(files(at, FILES_PER_SNAPSHOT), WANTED_EVERY)
    ms += (await timed(() => catalog.redecide(at + 1, decisions, policyKey, isSmallFile))).ms
  }
  say(`refresh of ${FILES.toLocaleString('en')} unchanged rows, ${name}`, seconds(ms))
}

async function schedule(catalog: Catalog): Promise<void> {
  const pending = await timed(() => catalog.pendingSnapshots())
  const entries = pending.value.map((snapshot, at) => ({
    snapshotId: snapshot.snapshotId,
    rank: pending.value.length - at,
    hold: at % 3 === 0 ? ('budget' as const) : ('none' as const),
  }))
  const totals = await catalog.totals()
  const jobs = totals.jobsReady + totals.jobsHeld
  say(
    `schedule of ${jobs.toLocaleString('en')} jobs, every rank moved`,
    seconds((await timed(() => catalog.applySchedule(entries))).ms),
  )
  say('the same schedule again', seconds((await timed(() => catalog.applySchedule(entries))).ms))
}

async function work(catalog: Catalog): Promise<void> {
  const leases: number[] = []
  const completions: number[] = []
  for (let at = 0; at < 1000; at += 1) {
    const leased = await timed(() => catalog.leaseJob({ nowMs: at, smallOnly: false }))
    leases.push(leased.ms)
    const job = leased.value
    if (job === undefined) break
    const [kind, digest] = job.key.split('-')
    const digests = {
      sha256: kind === 'sha256' ? digest : hex(`sha ${job.jobId}`, 64),
      gitOid: kind === 'git' ? digest : hex(`git of ${job.jobId}`, 40),
      size: job.size,
    } as Digests
    completions.push(
      (await timed(() => catalog.completeJobs([{ jobId: job.jobId, digests, attestedBy: ['hub-lfs-oid'] }], AT))).ms,
    )
  }
  say('lease a job', quantiles(leases))
  say('complete a job', quantiles(completions))
  const ofRepo = await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      timed(() => catalog.leaseJob({ nowMs: at, smallOnly: false, repos: [SNAPSHOTS - at] })),
    ),
  )
  say(
    'lease a job of one repo (waits in line included)',
    `${((ofRepo.at(-1)?.ms ?? 0) / ofRepo.length).toFixed(2)} ms each`,
  )
}

async function reads(catalog: Catalog): Promise<void> {
  const repeat = async (name: string, read: () => Promise<unknown>): Promise<void> => {
    const times: number[] = []
    for (let at = 0; at < 20; at += 1) times.push((await timed(read)).ms)
    say(name, quantiles(times))
  }
  await repeat('totals', () => catalog.totals())
  await repeat('plan totals', () => catalog.planTotals())
  await repeat('plan page of 100, wanted', () => catalog.planRows({ after: undefined, limit: 100, taken: true }))
  await repeat('plan page of 100, left', () => catalog.planRows({ after: undefined, limit: 100, taken: false }))
  await repeat('queue page of 100', () => catalog.queue({ limit: 100 }))
  await repeat('files page of 1000', () => catalog.files(1, { after: undefined, limit: 1000 }))
}

async function hugeListing(catalog: Catalog): Promise<void> {
  const record = listingRecord(REPOS - 1, REPOS, files(REPOS, 20_000), 1)
  const { ms } = await timed(() => catalog.recordListing(record))
  say('one listing of 20,000 wanted files', `${ms.toFixed(0)} ms`)
}

function bytesPerRow(path: string): void {
  const database = new Database(path, { readonly: true })
  const size = (name: string): number =>
    Number(database.prepare('SELECT sum(pgsize) FROM dbstat WHERE name = ?').pluck().get(name))
  const count = Number(database.prepare('SELECT count(*) FROM files').pluck().get())
  say('bytes of a file row on disk', `${(size('files') / count).toFixed(1)} B`)
  const all = Number(database.prepare('SELECT sum(pgsize) FROM dbstat').pluck().get())
  say('whole database', `${(all / 1e6).toFixed(0)} MB`)
  const tables = database
    .prepare<[], { name: string; size: number }>(
      'SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 6',
    )
    .all()
  say('largest', tables.map((table) => `${table.name} ${(table.size / 1e6).toFixed(0)}`).join(', '))
  database.close()
}

const folder = await mkdtemp(join(tmpdir(), 'weightvault-bench-'))
try {
  const options = { path: join(folder, 'catalog.db'), archiveId: 'benchmark', log: quiet }
  {
    await using catalog = await openCatalog({ ...options, mode: 'write' })
    await pollAll(catalog)
    await listAll(catalog)
    await refreshAll(catalog, 'policy-1', 'same policy')
    await refreshAll(catalog, 'policy-2', 'other policy')
    await schedule(catalog)
    await work(catalog)
    await reads(catalog)
    await hugeListing(catalog)
    say('checkpoint', seconds((await timed(() => catalog.checkpoint())).ms))
  }
  for (const mode of ['write', 'read'] as const) {
    const start = await timed(() => openCatalog({ ...options, mode }))
    say(`start, ${mode}`, seconds(start.ms))
    await start.value[Symbol.asyncDispose]()
  }
  // As `list` reads them: in a process that holds nothing else.
  execFileSync(process.execPath, [PAGES_SCRIPT, options.path], { stdio: ['ignore', 'inherit', 'inherit'] })
  bytesPerRow(options.path)
  say('resident memory', `${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
