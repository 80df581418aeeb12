/** How long it takes to give 1,000 files back: `node scripts/bench/restore-files.ts [--quick] [--rounds N]`. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { median, medianOf, type BenchOptions, type BenchResult } from './figures.ts'
import { measureNode } from './measured-process.ts'

interface Measurement {
  readonly seconds: number
  readonly cpuSeconds: number | undefined
  readonly methods: string
}

/** One repository, given back by each way this disk has; every call is a process of its own. */
export async function restoreFiles(options: BenchOptions): Promise<BenchResult> {
  const files = options.quick ? 100 : 1000
  const rounds = Math.max(3, options.rounds)
  await using folder = await BenchFolder.make()
  const repo = 'Qwen/Many-Files'
  {
    await using hub = await BenchHub.start({
      lineUp: { kind: 'many-files', count: files, bytes: 2000 },
      quotas: NO_QUOTAS,
    })
    const vault = await BenchVault.make(folder.path, hub.url)
    await vault.runJson(['sync'])
  }
  const vault = await BenchVault.make(folder.path, 'http://127.0.0.1:9')
  const measure = async (words: readonly string[]): Promise<Measurement> => {
    const times: number[] = []
    const cpu: number[] = []
    let methods = ''
    for (let round = 0; round < rounds; round += 1) {
      const to = join(folder.path, 'out')
      const run = await vault.runJson(['restore', repo, '--to', to, ...words])
      const { json } = run as unknown as { json: { made: number; methods: Record<string, number> } }
      if (json.made < files) throw new Error(`restored ${json.made} of ${files} files`)
      methods = Object.entries(json.methods)
        .filter(([, count]) => count > 0)
        .map(([method, count]) => `${count} by ${method}`)
        .join(', ')
      times.push(run.wallSeconds)
      if (run.cpuSeconds !== undefined) cpu.push(run.cpuSeconds)
      await rm(to, { recursive: true, force: true })
    }
    return { seconds: median(times), cpuSeconds: medianOf(cpu), methods }
  }
  const start: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    start.push((await measureNode(['-e', '0'], folder.path)).wallSeconds)
  }
  const shared = await measure([])
  const cache = await measure(['--as', 'hf-cache'])
  const copied = await measure(['--link', 'never'])
  return {
    bench: 'restore-files',
    setting: `${files} small files of one repository into a new folder on the archive's disk, start of Node (${median(start)?.toFixed(2)} s) included. Median of ${rounds}.`,
    figures: [
      { figure: `restore (${shared.methods})`, unit: 'seconds', ours: shared.seconds, target: { below: 1 } },
      { figure: 'CPU of it', unit: 'seconds', ours: shared.cpuSeconds },
      {
        figure: `restore --as hf-cache (${cache.methods})`,
        unit: 'seconds',
        ours: cache.seconds,
        target: { below: 1 },
      },
      { figure: `restore --link never (${copied.methods})`, unit: 'seconds', ours: copied.seconds },
    ],
  }
}

if (import.meta.main) await runAlone(restoreFiles)
