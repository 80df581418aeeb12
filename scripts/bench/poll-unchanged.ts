/** What a pass costs when nothing changed: `node scripts/bench/poll-unchanged.ts [--quick] [--rounds N]`. */
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { medianOf, type BenchOptions, type BenchResult } from './figures.ts'
import { measureNode, type Measured } from './measured-process.ts'

const PEER = fileURLToPath(new URL('peer-hub-client.ts', import.meta.url))

/** One `sync` that archives everything, then the same again with nothing to do. */
export async function pollUnchanged(options: BenchOptions): Promise<BenchResult> {
  const count = options.quick ? 60 : 600
  await using folder = await BenchFolder.make()
  await using hub = await BenchHub.start({ lineUp: { kind: 'synthetic', count }, quotas: NO_QUOTAS })
  const vault = await BenchVault.make(folder.path, hub.url)
  await vault.runJson(['sync'])
  const ours: Awaited<ReturnType<BenchVault['runJson']>>[] = []
  const peers: Measured[] = []
  let requests = { ours: 0, lists: 0, bytes: 0, peer: 0 }
  for (let round = 0; round < options.rounds; round += 1) {
    hub.reset()
    ours.push(await vault.runJson(['sync']))
    const asked = await hub.tally()
    hub.reset()
    peers.push(await measureNode([PEER, 'poll', hub.url], folder.path))
    requests = { ours: asked.total, lists: asked.lists, bytes: asked.fileBytes, peer: (await hub.tally()).total }
  }
  const peer = 'listModels + modelInfo of @huggingface/hub'
  return {
    bench: 'poll-unchanged',
    setting:
      `${count} repositories of four small files, archived by a first \`sync\`; then a second one, as a process of ` +
      `its own, start-up included. Median of ${options.rounds}.`,
    figures: [
      {
        figure: 'requests',
        unit: 'count',
        ours: requests.ours,
        peer: { name: peer, value: requests.peer },
        target: { atMost: Math.ceil(count / 500) },
      },
      { figure: 'of these, list pages', unit: 'count', ours: requests.lists },
      { figure: 'bytes of files', unit: 'bytes-exact', ours: requests.bytes, target: { atMost: 0 } },
      {
        figure: 'CPU',
        unit: 'seconds',
        ours: medianOf(ours.map((run) => run.cpuSeconds)),
        peer: { name: peer, value: medianOf(peers.map((run) => run.cpuSeconds)) },
        target: { below: 1 },
      },
      {
        figure: 'wall',
        unit: 'seconds',
        ours: medianOf(ours.map((run) => run.wallSeconds)),
        peer: { name: peer, value: medianOf(peers.map((run) => run.wallSeconds)) },
      },
      { figure: 'peak memory', unit: 'bytes', ours: medianOf(ours.map((run) => run.peakRssBytes)) },
      { figure: 'new events', unit: 'count', ours: ours.at(-1)?.json.newEvents, target: { atMost: 0 } },
    ],
  }
}

if (import.meta.main) await runAlone(pollUnchanged)
