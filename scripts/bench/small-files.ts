/** Thousands of small files over TLS, beside clients that verify nothing: `node scripts/bench/small-files.ts [--quick] [--rounds N]`. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { median, medianOf, MEMORY_TARGET, type BenchOptions, type BenchResult, type Figure } from './figures.ts'
import { isInstalled, measureCommand, measureFloor, type Measured } from './measured-process.ts'
import { fileName, NginxHub, type ServedRepo } from './nginx-hub.ts'

const CONNECTIONS = 16
const FLOOR = fileURLToPath(new URL('durable-floor-process.ts', import.meta.url))

interface Round {
  readonly ours: Measured
  /** The same call again, with nothing left to do: start, poll and end. */
  readonly idle: Measured
  readonly curl: Measured | undefined
  readonly aria2: Measured | undefined
  /** What the disk alone takes for files of this kind. */
  readonly floorSeconds: number
}

/** Verified, durable and sealed beside clients that only write what comes. Rounds are interleaved. */
export async function smallFiles(options: BenchOptions): Promise<BenchResult> {
  const missing = await NginxHub.whyNot()
  if (missing !== undefined) throw new Error(missing)
  const cases = options.quick
    ? [{ files: 200, bytesEach: 50 * 1024 }]
    : [
        { files: 2000, bytesEach: 50 * 1024 },
        { files: 10_000, bytesEach: 4 * 1024 },
      ]
  // Nothing is deleted before the end: ext4 avoids what was deleted in the last minutes, which slows down every new file.
  await using folder = await BenchFolder.make()
  await fillCache(folder.path)
  const figures: Figure[] = []
  for (const one of cases) figures.push(...(await measureCase(folder.path, one, options.rounds)))
  const peers = await Promise.all(['curl', 'aria2c'].map(async (name) => ((await isInstalled(name)) ? [] : [name])))
  return {
    bench: 'small-files',
    setting:
      `One repository on nginx over TLS (certificate checked), listed before; then the whole program \`sync\`: start, poll, ` +
      'download, SHA-256 and git oid, fsync, read back, publish, catalog, seal. Its compiled code is there from a call before. ' +
      '"Without start, poll and end" takes off the wall of a second `sync` that finds nothing to do. Peers get the list of addresses, verify nothing and ' +
      `sync nothing: \`curl -Z\` and \`aria2c -j${CONNECTIONS}\`. Median of ${options.rounds} interleaved rounds. ` +
      '"The disk alone" is no peer but a floor: a program that only creates such files, writes, fsyncs and links them into 256 folders and fsyncs these, ' +
      'without network, hash or catalog, timed without its start.',
    figures,
    notes: peers.flat().map((name) => `${name} is not installed: no comparison with it`),
  }
}

/** Compiled code is kept from one call to the next; the first one of a new version compiles it. */
async function fillCache(folder: string): Promise<void> {
  const served = join(folder, 'first-hub')
  await mkdir(served)
  await using hub = await NginxHub.start(served, { id: 'Qwen/Small', files: 20, bytesEach: 1024 })
  const vault = await openVault(join(folder, 'first'), folder, hub)
  await vault.runJson(['sync'])
}

async function openVault(at: string, folder: string, hub: NginxHub): Promise<BenchVault> {
  await mkdir(at)
  return BenchVault.make(at, hub.url, {
    NODE_EXTRA_CA_CERTS: hub.certificate,
    XDG_CACHE_HOME: join(folder, 'cache'),
  })
}

async function measureCase(
  folder: string,
  one: { files: number; bytesEach: number },
  rounds: number,
): Promise<Figure[]> {
  const place = join(folder, `${one.files}`)
  const served = join(place, 'hub')
  await mkdir(served, { recursive: true })
  await using hub = await NginxHub.start(served, { id: 'Qwen/Small', ...one })
  const measured: Round[] = []
  for (let round = 0; round < rounds; round += 1)
    measured.push(await measureRound(folder, join(place, `round-${round}`), hub))
  const name = `${one.files} × ${one.bytesEach / 1024} KiB`
  const wall = (pick: (round: Round) => Measured | undefined): number | undefined =>
    medianOf(measured.map((round) => pick(round)?.wallSeconds))
  const ours = median(measured.map((round) => round.ours.wallSeconds))
  const [curl, aria2] = [wall((round) => round.curl), wall((round) => round.aria2)]
  const transfer = median(measured.map((round) => round.ours.wallSeconds - round.idle.wallSeconds))
  const beside = (figure: string, seconds: number): Figure[] => [
    {
      figure,
      unit: 'seconds',
      ours: seconds,
      peer: { name: 'curl -Z, nothing verified or synced', value: curl },
      target: curl === undefined ? undefined : { atMost: 1.6 * curl },
    },
    {
      figure,
      unit: 'seconds',
      ours: seconds,
      peer: { name: `aria2c -j${CONNECTIONS}, nothing verified or synced`, value: aria2 },
      target: aria2 === undefined ? undefined : { atMost: aria2 / 1.5 },
    },
  ]
  return [
    ...beside(`${name}, wall of the whole program`, ours),
    ...beside(`${name}, wall without start, poll and end`, transfer),
    { figure: `${name}, start, poll and end`, unit: 'seconds', ours: wall((round) => round.idle) },
    {
      figure: `${name}, the disk alone (made durable; not fetched, hashed or noted)`,
      unit: 'seconds',
      ours: median(measured.map((round) => round.floorSeconds)),
    },
    {
      figure: `${name}, CPU`,
      unit: 'seconds',
      ours: medianOf(measured.map((round) => round.ours.cpuSeconds)),
      peer: { name: 'curl -Z', value: medianOf(measured.map((round) => round.curl?.cpuSeconds)) },
    },
    {
      figure: `${name}, peak memory`,
      unit: 'bytes',
      ours: medianOf(measured.map((round) => round.ours.peakRssBytes)),
      target: MEMORY_TARGET,
    },
  ]
}

async function measureRound(folder: string, at: string, hub: NginxHub): Promise<Round> {
  const vault = await openVault(at, folder, hub)
  await vault.runJson(['sync', '--check'], [20])
  const ours = await vault.runJson(['sync'])
  if (ours.json.fetchedFiles !== hub.repo.files) throw new Error(`${ours.json.fetchedFiles} files were fetched`)
  const idle = await vault.runJson(['sync'])
  const curl = await measurePeer('curl', at, hub)
  const aria2 = await measurePeer('aria2c', at, hub)
  return { ours, idle, curl, aria2, floorSeconds: await floorOf(at, hub.repo) }
}

function floorOf(folder: string, { files, bytesEach }: ServedRepo): Promise<number> {
  return measureFloor([FLOOR, join(folder, 'floor'), String(files), String(bytesEach)], folder)
}

async function measurePeer(name: 'curl' | 'aria2c', folder: string, hub: NginxHub): Promise<Measured | undefined> {
  if (!(await isInstalled(name))) return undefined
  const to = join(folder, name)
  await mkdir(to)
  const list = join(folder, `${name}.txt`)
  const urls = hub.fileUrls()
  const lines = name === 'aria2c' ? urls : urls.flatMap((url, at) => [`url=${url}`, `output=${join(to, fileName(at))}`])
  await writeFile(list, `${lines.join('\n')}\n`)
  const args =
    name === 'curl'
      ? ['-s', '-Z', '--parallel-max', String(CONNECTIONS), '--cacert', hub.certificate, '-K', list]
      : ['-q', `-j${CONNECTIONS}`, `--ca-certificate=${hub.certificate}`, '-d', to, '-i', list]
  const measured = await measureCommand(name, args, folder)
  const written = (await readdir(to)).length
  if (measured.exitCode !== 0 || written !== hub.repo.files) {
    throw new Error(`${name} ended with ${measured.exitCode} after ${written} files`)
  }
  return measured
}

if (import.meta.main) await runAlone(smallFiles)
