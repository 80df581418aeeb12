/** The first archive of many small repositories: `node scripts/bench/first-sync.ts [--quick]`. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { MEMORY_TARGET, type BenchOptions, type BenchResult } from './figures.ts'
import { measureNode } from './measured-process.ts'

const PEER = fileURLToPath(new URL('peer-hub-client.ts', import.meta.url))

/** Everything from the first poll to the last sealed snapshot, beside a script that only downloads and hashes. */
export async function firstSync(options: BenchOptions): Promise<BenchResult> {
  const count = options.quick ? 60 : 600
  await using folder = await BenchFolder.make()
  await using hub = await BenchHub.start({ lineUp: { kind: 'synthetic', count }, quotas: NO_QUOTAS })
  const vault = await BenchVault.make(folder.path, hub.url)
  const ours = await vault.runJson(['sync'])
  if (ours.json.sealed?.length !== count) throw new Error(`${ours.json.sealed?.length} of ${count} repos were sealed`)
  const target = join(folder.path, 'peer')
  await mkdir(target)
  const peer = await measureNode([PEER, 'download', hub.url, target], folder.path)
  const name = '@huggingface/hub, 8 at a time, hashed, not synced'
  const files = ours.json.fetchedFiles ?? 0
  return {
    bench: 'first-sync',
    setting:
      `${count} repositories of four small files, \`sync\` in a new archive: listed, downloaded, verified, made durable ` +
      'file by file, sealed. No quota. One round.',
    figures: [
      {
        figure: 'rate',
        unit: 'files-per-second',
        ours: files / ours.wallSeconds,
        peer: { name, value: files / peer.wallSeconds },
      },
      { figure: 'wall', unit: 'seconds', ours: ours.wallSeconds, peer: { name, value: peer.wallSeconds } },
      { figure: 'CPU', unit: 'seconds', ours: ours.cpuSeconds, peer: { name, value: peer.cpuSeconds } },
      {
        figure: 'peak memory',
        unit: 'bytes',
        ours: ours.peakRssBytes,
        peer: { name, value: peer.peakRssBytes },
        target: MEMORY_TARGET,
      },
    ],
  }
}

if (import.meta.main) await runAlone(firstSync)
