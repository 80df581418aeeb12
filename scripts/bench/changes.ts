/** What noticing changes costs: `node scripts/bench/changes.ts [--quick] [--rounds N]`. */
import { runAlone } from './bench-entry.ts'
import { median, type BenchOptions, type BenchResult } from './figures.ts'
import type { ChangeEvent } from '../../src/domain/events.ts'
import type { RepoName } from '../../src/domain/repo.ts'
import { describeUpdate } from '../../src/pipeline/describe-update.ts'
import { generated } from '../../tests/support/content/generated.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../../tests/support/sim-hub/types.ts'
import { TestVault } from '../../tests/support/test-vault.ts'

const CHANGED = 5
const EVENTS = 10_000
const NO_QUOTAS = { api: 1e9, resolvers: 1e9 }
const LARGE = { type: 'model', name: 'Qwen/Large' as RepoName } as const

/** Requests of a poll in which a few repositories changed, time to compare and store a large listing, time to list events. */
export async function changes(options: BenchOptions): Promise<BenchResult> {
  const repos = options.quick ? 60 : 600
  const files = options.quick ? 2000 : 20_000
  const poll = await pollFigures(repos)
  const listing = await listingFigures(files, options.rounds)
  return {
    bench: 'changes',
    setting: `${repos} repositories of which ${CHANGED} get a commit; a commit to one with ${files} files; a log of ${EVENTS} events. In one process with the simulated Hub. Median of ${options.rounds}.`,
    figures: [
      { figure: 'list requests of the poll', unit: 'count', ours: poll.lists, target: { atMost: 2 } },
      {
        figure: 'other API requests for each changed repo',
        unit: 'count',
        ours: poll.others / CHANGED,
        target: { atMost: 4 },
      },
      {
        figure: `compare and store a listing of ${files} files`,
        unit: 'milliseconds',
        ours: listing.storeMs,
        target: { below: 1000 },
      },
      { figure: 'of this, the comparison', unit: 'milliseconds', ours: listing.compareMs },
      { figure: `list ${EVENTS} events`, unit: 'milliseconds', ours: listing.eventsMs, target: { below: 200 } },
    ],
  }
}

async function pollFigures(repos: number): Promise<{ lists: number; others: number }> {
  await using hub = await startSimHub({ quotas: NO_QUOTAS, listPageSizeMax: 500 })
  for (let at = 0; at < repos; at += 1) {
    hub.world.addRepo(`Qwen/R${at}`, { files: [{ path: 'config.json', content: `${at % 7}\n` }] })
  }
  await using vault = await TestVault.open(hub)
  await vault.sync()
  for (let at = 0; at < CHANGED; at += 1) {
    const set = [{ path: 'model.safetensors', content: generated(`new ${at}`, 1000), lfs: true }]
    hub.world.commit(`Qwen/R${at}`, { set })
  }
  hub.clearRequests()
  await vault.sync()
  const api = hub.requests.filter(({ path }) => path.startsWith('/api/') && !path.startsWith('/api/resolve-cache/'))
  const lists = api.filter(({ path }) => path.startsWith('/api/models?')).length
  return { lists, others: api.length - lists }
}

async function listingFigures(
  files: number,
  rounds: number,
): Promise<{ storeMs: number; compareMs: number; eventsMs: number }> {
  await using hub = await startSimHub({ quotas: NO_QUOTAS })
  addLarge(hub, files)
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const { catalog, records } = vault.archive
  const row = (await catalog.repoRow(LARGE))!
  const before = (await records.readListing(LARGE.name, row.newest!.commit))!.listing
  const storeTimes: number[] = []
  const compareTimes: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const commit = before.commit.replace(/^../, String(10 + round)) as typeof before.commit
    const after = {
      ...before,
      commit,
      files: before.files.map((file, at) => (at % 10 === 0 ? { ...file, size: 7 } : file)),
    }
    const start = performance.now()
    const events = await describeUpdate(vault.archive, row, before, after)
    compareTimes.push(performance.now() - start)
    const decisions = after.files.map(({ path }) => ({ path, take: true, reason: 'wanted', detail: 'wanted' }) as const)
    await catalog.recordListing({
      repoId: row.repoId,
      listing: after,
      decisions,
      policyKey: 'bench',
      isSmall: () => true,
      events,
    })
    storeTimes.push(performance.now() - start)
  }
  await addEvents(vault)
  const eventTimes: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now()
    const listed = await catalog.events({ since: 0, limit: EVENTS })
    eventTimes.push(performance.now() - start)
    if (listed.length !== EVENTS) throw new Error(`${listed.length} events were listed`)
  }
  return { storeMs: median(storeTimes), compareMs: median(compareTimes), eventsMs: median(eventTimes) }
}

function addLarge(hub: SimHub, files: number): void {
  const set = Array.from({ length: files }, (_, at) => ({ path: `data/part-${at}.json`, content: `${at}\n` }))
  hub.world.addRepo(LARGE.name, { files: set })
}

async function addEvents(vault: TestVault): Promise<void> {
  const event: ChangeEvent = {
    type: 'repo-updated',
    severity: 'info',
    repo: LARGE,
    at: '2026-03-01T00:00:00.000Z',
    before: null,
    after: null,
    detail: { added: ['a.json', 'b.json'], removed: [], replaced: [], changes: 2 },
  }
  await vault.archive.catalog.appendEvents(Array.from({ length: EVENTS }, () => event))
}

if (import.meta.main) await runAlone(changes)
