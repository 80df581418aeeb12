/** The first listings of an organisation within the quota: `node scripts/bench/first-listings.ts [--quick]`. */
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchHub } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import type { BenchOptions, BenchResult } from './figures.ts'
import { measureNode } from './measured-process.ts'

const PEER = fileURLToPath(new URL('peer-hub-client.ts', import.meta.url))
const REAL_WINDOW_SECONDS = 300

/** A new archive lists every repository of an owner that has more of them than the quota has requests. */
export async function firstListings(options: BenchOptions): Promise<BenchResult> {
  const count = options.quick ? 60 : 600
  const quotas = options.quick
    ? { api: 50, resolvers: 1e9, windowSeconds: 5 }
    : { api: 500, resolvers: 1e9, windowSeconds: 20 }
  await using folder = await BenchFolder.make()
  const lineUp = { kind: 'synthetic', count } as const
  const ours = await measureOurs(folder.path, { lineUp, quotas })
  await using hub = await BenchHub.start({ lineUp, quotas })
  const peerRun = await measureNode([PEER, 'listings', hub.url], folder.path)
  const peerAsked = await hub.tally()
  const name = 'listModels + listFiles of @huggingface/hub, not paced'
  const { done } = JSON.parse(peerRun.stdout) as { done: number }
  return {
    bench: 'first-listings',
    setting:
      `${count} repositories, \`sync --check\` in a new archive. The quota is ${quotas.api} API requests, as for anonymous ` +
      `callers, in windows of ${quotas.windowSeconds} s instead of ${REAL_WINDOW_SECONDS} s so that this ends soon.`,
    figures: [
      {
        figure: 'API requests for each repo',
        unit: 'count',
        ours: ours.api / count,
        peer: { name, value: peerAsked.api / count },
        target: { atMost: 4 },
      },
      {
        figure: 'answers 429',
        unit: 'count',
        ours: ours.refused429,
        peer: { name, value: peerAsked.refused429 },
        target: { atMost: 0 },
      },
      { figure: 'repositories not listed', unit: 'count', ours: ours.failed, peer: { name, value: count - done } },
      { figure: 'wall', unit: 'seconds', ours: ours.wallSeconds, peer: { name, value: peerRun.wallSeconds } },
      { figure: 'CPU', unit: 'seconds', ours: ours.cpuSeconds, peer: { name, value: peerRun.cpuSeconds } },
    ],
  }
}

async function measureOurs(folder: string, hubOptions: Parameters<typeof BenchHub.start>[0]) {
  await using hub = await BenchHub.start(hubOptions)
  const vault = await BenchVault.make(folder, hub.url)
  const run = await vault.runJson(['sync', '--check'], [0, 8, 20])
  const { api, refused429 } = await hub.tally()
  return { api, refused429, failed: run.json.failed?.length, wallSeconds: run.wallSeconds, cpuSeconds: run.cpuSeconds }
}

if (import.meta.main) await runAlone(firstListings)
