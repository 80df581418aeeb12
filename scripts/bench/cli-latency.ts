/** How long reading commands take in a large archive: `node scripts/bench/cli-latency.ts [--quick] [--rounds N]`. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { openArchive } from '../../src/compose.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { CommitId, GitOid, HubId, Sha256 } from '../../src/domain/digest.ts'
import type { Listing, Sibling } from '../../src/domain/listing.ts'
import { decideFiles, policyKeyOf } from '../../src/domain/policy.ts'
import type { RepoFacts, RepoName } from '../../src/domain/repo.ts'
import { isSmallFile } from '../../src/domain/weight-file.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { DEFAULT_KEEP } from '../../src/pipeline/plan-snapshots.ts'
import type { OpenedArchive } from '../../src/opened-archive.ts'
import { runAlone } from './bench-entry.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { median, type BenchOptions, type BenchResult } from './figures.ts'
import { measureNode } from './measured-process.ts'

const FILES_PER_REPO = 100
const AT = '2026-11-01T00:00:00.000Z'
const ENDPOINT = 'http://127.0.0.1:9'
/** What still feels instant, with a whole start of Node in it. */
const INSTANT = { below: 0.5 } as const

/** Each command as a process of its own, from its start to its end. */
export async function cliLatency(options: BenchOptions): Promise<BenchResult> {
  const repos = options.quick ? 100 : 1000
  const rounds = options.quick ? 1 : Math.max(options.rounds, 5)
  await using folder = await BenchFolder.make()
  const vault = await BenchVault.make(folder.path, ENDPOINT)
  await fillArchive(folder.path, repos)
  const commands = [
    ['list'],
    ['list', '--json'],
    ['list', '--format', 'gguf'],
    ['plan', '--offline'],
    ['plan', '--offline', '--json'],
    ['show', 'Qwen/Bench-7'],
    ['why', 'Qwen/Bench-7', 'shard-00003.safetensors'],
    ['status'],
  ]
  const figures: BenchResult['figures'][number][] = []
  const empty: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    empty.push((await measureNode(['-e', '0'], folder.path)).wallSeconds)
  }
  for (const command of commands) {
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const run = await vault.run(command)
      if (run.exitCode !== 0) throw new Error(`${command.join(' ')} ended with ${run.exitCode}: ${run.stderr}`)
      times.push(run.wallSeconds)
    }
    const peer = { name: 'node -e 0', value: median(empty) }
    figures.push({ figure: command.join(' '), unit: 'seconds', ours: median(times), peer, target: INSTANT })
  }
  return {
    bench: 'cli-latency',
    setting: `${repos * FILES_PER_REPO} files in ${repos} repositories. Wall time of whole processes, median of ${rounds}.`,
    figures,
  }
}

async function fillArchive(folder: string, repos: number): Promise<void> {
  const signal = new AbortController().signal
  const source = { flags: { config: join(folder, 'weightvault.yaml') }, env: {}, cwd: folder, homeDir: folder }
  const { config } = await loadConfig(source, signal)
  const log = createLogger({ level: 'silent' })
  await using archive = await openArchive(config, { mode: 'write', log, signal })
  const facts = Array.from({ length: repos }, (_, at) => factsOf(at))
  await archive.catalog.recordPoll({
    watch: 'org:Qwen',
    at: AT,
    changed: facts.map((each) => ({ facts: each, upstream: 'ok' })),
    unchanged: [],
    missing: [],
    states: [],
    events: [],
    isFirst: true,
  })
  for (const each of facts) await addListing(archive, each, signal)
}

async function addListing(archive: OpenedArchive, facts: RepoFacts, signal: AbortSignal): Promise<void> {
  const known = await archive.catalog.repoByName(facts.ref)
  if (known === undefined || facts.commit === undefined) throw new Error(`${facts.ref.name} is not in the catalog`)
  const listing: Listing = {
    format: 'weightvault-listing/1',
    repo: { ...facts.ref, hubId: facts.hubId },
    commit: facts.commit,
    endpoint: ENDPOINT,
    observedAt: AT,
    createdAt: AT,
    lastModified: AT,
    gated: false,
    license: facts.license,
    tags: facts.tags,
    cardData: facts.cardData,
    files: filesOf(facts.ref.name),
    refused: [],
  }
  await archive.records.writeListing(listing, signal)
  await archive.catalog.recordListing({
    repoId: known.repoId,
    listing,
    decisions: decideFiles(listing.files, DEFAULT_KEEP),
    policyKey: policyKeyOf(DEFAULT_KEEP),
    isSmall: isSmallFile,
    events: [],
  })
}

function hex(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}

function factsOf(at: number): RepoFacts {
  return {
    ref: { type: 'model', name: `Qwen/Bench-${at}` as RepoName },
    hubId: hex(`repo ${at}`, 24) as HubId,
    commit: hex(`commit ${at}`, 40) as CommitId,
    createdAt: AT,
    lastModified: AT,
    gated: false,
    private: false,
    disabled: false,
    tags: ['transformers', 'text-generation', 'license:apache-2.0'],
    cardData: { license: 'apache-2.0' },
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
  }
}

function filesOf(repo: string): Sibling[] {
  return Array.from({ length: FILES_PER_REPO }, (_, at) => {
    const gitOid = hex(`git ${repo} ${at}`, 40) as GitOid
    if (at % 4 === 0) {
      const path = `assets/config.${at}.json`
      return { path, size: 1000 + at, gitOid, isLfs: false, lfsOid: undefined, xetHash: undefined }
    }
    const extension = at % 4 === 1 ? 'gguf' : 'safetensors'
    return {
      path: `shard-${String(at).padStart(5, '0')}.${extension}`,
      size: 4_000_000 + at,
      gitOid,
      isLfs: true,
      lfsOid: hex(`lfs ${repo} ${at}`, 64) as Sha256,
      xetHash: hex(`xet ${repo} ${at}`, 64),
    }
  })
}

if (import.meta.main) await runAlone(cliLatency)
