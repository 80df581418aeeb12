/** Memory and speed of one very large file: `node scripts/bench/memory-one-file.ts [--quick]`. */
import { rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { MEMORY_TARGET, type BenchOptions, type BenchResult, type Figure } from './figures.ts'
import { isInstalled, measureCommand, type Measured } from './measured-process.ts'

const FULL_BYTES = 8 * 2 ** 30
const QUICK_BYTES = 256 * 2 ** 20
/** The file once, and room for everything else on the disk. */
const SPARE_BYTES = 2 ** 30

const PATH_ON_HUB = 'Qwen/One-File/resolve/main/model.safetensors'

/** `sync` of a repository with one large file, beside downloaders that verify nothing. */
export async function memoryOneFile(options: BenchOptions): Promise<BenchResult> {
  const bytes = options.quick ? QUICK_BYTES : FULL_BYTES
  const bench = 'memory-one-file'
  const { bavail, bsize } = await statfs(tmpdir())
  if (bavail * bsize < bytes + SPARE_BYTES) {
    const setting = `SKIPPED: ${tmpdir()} has less than ${bytes + SPARE_BYTES} bytes free (TMPDIR names another folder).`
    return { bench, setting, figures: [] }
  }
  await using hub = await BenchHub.start({ lineUp: { kind: 'one-file', bytes }, quotas: NO_QUOTAS })
  const ours = await sync(hub.url)
  const curl = await fetchWith('curl', ['-sSfL', '-o', 'file'], hub.url)
  const aria2 = await fetchWith('aria2c', ['-q', '--file-allocation=none', '-o', 'file'], hub.url)
  return {
    bench,
    setting:
      `One file of ${bytes / 2 ** 30} GiB over loopback, listed before by \`sync --check\`. Ours is downloaded, made ` +
      'durable, hashed as read back and sealed; the peers write it and neither hash nor sync it. One round.',
    figures: [
      ...figuresBeside(ours, bytes, 'curl -o', curl),
      ...(aria2 === undefined ? [] : figuresBeside(ours, bytes, 'aria2c', aria2)),
    ],
    notes: aria2 === undefined ? ['aria2c is not installed here.'] : [],
  }
}

function figuresBeside(ours: Measured, bytes: number, name: string, peer: Measured | undefined): Figure[] {
  const beside = (value: number | undefined) => ({ name, value })
  return [
    {
      figure: 'peak memory',
      unit: 'bytes',
      ours: ours.peakRssBytes,
      peer: beside(peer?.peakRssBytes),
      target: MEMORY_TARGET,
    },
    { figure: 'wall', unit: 'seconds', ours: ours.wallSeconds, peer: beside(peer?.wallSeconds) },
    { figure: 'CPU', unit: 'seconds', ours: ours.cpuSeconds, peer: beside(peer?.cpuSeconds) },
    {
      figure: 'rate',
      unit: 'bytes-per-second',
      ours: bytes / ours.wallSeconds,
      peer: beside(peer === undefined ? undefined : bytes / peer.wallSeconds),
    },
  ]
}

async function sync(hubUrl: string): Promise<Measured> {
  await using folder = await BenchFolder.make()
  const vault = await BenchVault.make(folder.path, hubUrl)
  await vault.runJson(['sync', '--check'], [20])
  const run = await vault.runJson(['sync'])
  if (run.json.sealed?.length !== 1) throw new Error('the large file was not sealed')
  return run
}

async function fetchWith(command: string, args: readonly string[], hubUrl: string): Promise<Measured | undefined> {
  if (!(await isInstalled(command))) return undefined
  await using folder = await BenchFolder.make()
  const run = await measureCommand(command, [...args, `${hubUrl}/${PATH_ON_HUB}`], folder.path)
  await rm(join(folder.path, 'file'), { force: true })
  if (run.exitCode !== 0) throw new Error(`${command} ended with ${run.exitCode}: ${run.stderr}`)
  return run
}

if (import.meta.main) await runAlone(memoryOneFile)
