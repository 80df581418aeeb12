/** Memory and time of one repository of 20,000 files: `node scripts/bench/memory-many-files.ts [--quick]`. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { MEMORY_TARGET, type BenchOptions, type BenchResult } from './figures.ts'
import { isInstalled, measureCommand, type Measured } from './measured-process.ts'

const FILE_BYTES = 2000

/** Listing and plan, then everything, then the same again with nothing to do. */
export async function memoryManyFiles(options: BenchOptions): Promise<BenchResult> {
  const count = options.quick ? 1000 : 20_000
  await using folder = await BenchFolder.make()
  await using hub = await BenchHub.start({
    lineUp: { kind: 'many-files', count, bytes: FILE_BYTES },
    quotas: NO_QUOTAS,
  })
  const vault = await BenchVault.make(folder.path, hub.url)
  const listing = await vault.runJson(['sync', '--check'], [20])
  const plan = await vault.runJson(['plan', '--offline'])
  const full = await vault.runJson(['sync'])
  if (full.json.sealed?.length !== 1) throw new Error('the repository was not sealed')
  const show = await vault.runJson(['show', 'Qwen/Many-Files'])
  const curl = await fetchWithCurl(hub.url, count, folder.path)
  const name = 'curl -Z, 8 at a time, no hash, no sync'
  const files = full.json.fetchedFiles ?? 0
  return {
    bench: 'memory-many-files',
    setting: `One repository of ${count} files of ${FILE_BYTES} bytes. Each command is a process of its own. One round.`,
    figures: [
      { figure: 'listing: peak memory', unit: 'bytes', ours: listing.peakRssBytes, target: MEMORY_TARGET },
      { figure: 'listing: wall', unit: 'seconds', ours: listing.wallSeconds },
      { figure: 'plan: peak memory', unit: 'bytes', ours: plan.peakRssBytes, target: MEMORY_TARGET },
      { figure: 'plan: wall', unit: 'seconds', ours: plan.wallSeconds },
      {
        figure: 'sync: peak memory',
        unit: 'bytes',
        ours: full.peakRssBytes,
        peer: { name, value: curl?.peakRssBytes },
        target: MEMORY_TARGET,
      },
      { figure: 'sync: wall', unit: 'seconds', ours: full.wallSeconds, peer: { name, value: curl?.wallSeconds } },
      { figure: 'sync: CPU', unit: 'seconds', ours: full.cpuSeconds, peer: { name, value: curl?.cpuSeconds } },
      {
        figure: 'sync: rate',
        unit: 'files-per-second',
        ours: files / full.wallSeconds,
        peer: { name, value: curl === undefined ? undefined : files / curl.wallSeconds },
      },
      { figure: 'show: peak memory', unit: 'bytes', ours: show.peakRssBytes, target: MEMORY_TARGET },
      { figure: 'show: wall', unit: 'seconds', ours: show.wallSeconds },
    ],
  }
}

async function fetchWithCurl(hubUrl: string, count: number, cwd: string): Promise<Measured | undefined> {
  if (!(await isInstalled('curl'))) return undefined
  const lines = Array.from({ length: count }, (_, at) => {
    const path = `data/${String(Math.floor(at / 1000)).padStart(3, '0')}/part-${String(at).padStart(6, '0')}.json`
    return `url = "${hubUrl}/Qwen/Many-Files/resolve/main/${path}"\noutput = "curl/${path}"\n`
  })
  await writeFile(join(cwd, 'curl.cfg'), lines.join(''))
  const args = ['-sSfL', '-Z', '--parallel-max', '8', '--create-dirs', '-K', 'curl.cfg']
  const run = await measureCommand('curl', args, cwd)
  if (run.exitCode !== 0) throw new Error(`curl ended with ${run.exitCode}: ${run.stderr.slice(-1000)}`)
  return run
}

if (import.meta.main) await runAlone(memoryManyFiles)
