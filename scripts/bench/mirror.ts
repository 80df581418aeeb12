/** How fast the mirror gives back, beside nginx with sendfile: `node scripts/bench/mirror.ts [--quick] [--rounds N]`. */
import { join } from 'node:path'
import { runAlone } from './bench-entry.ts'
import { BenchHub, NO_QUOTAS } from './bench-hub.ts'
import { BenchFolder, BenchVault } from './bench-vault.ts'
import { medianOf, type BenchOptions, type BenchResult, type Figure } from './figures.ts'
import { isInstalled, measureCommand } from './measured-process.ts'
import { RunningServer } from './running-server.ts'

const BIG = 'Qwen/One-File/resolve/main/model.safetensors'
const SMALL = 'Qwen/One-File/resolve/main/README.md'
const STREAMS = 64

/** Servers and the paths under which each has the same bytes. */
interface Setup {
  readonly folder: string
  readonly ours: RunningServer
  readonly nginx: RunningServer | undefined
  readonly big: string
  readonly small: string
  readonly bytes: number
}

/** One large file, whole and in ranges, alone and by several; then many small questions. */
export async function mirror(options: BenchOptions): Promise<BenchResult> {
  const bytes = options.quick ? 64 * 2 ** 20 : 2 ** 30
  const repos = options.quick ? 60 : 600
  const hasWrk = await isInstalled('wrk')
  const hasNginx = await isInstalled('nginx')
  const notes = [
    ...(hasNginx ? [] : ['nginx is not installed here (Debian: apt-get install nginx).']),
    ...(hasWrk ? [] : ['wrk is not installed here (Debian: apt-get install wrk): no rates of requests.']),
  ]
  await using folder = await BenchFolder.make()
  const figures = [
    ...(await fileFigures(folder.path, { ...options, bytes, hasNginx, hasWrk })),
    ...(hasWrk ? await listFigures(join(folder.path), repos, options) : []),
  ]
  return {
    bench: 'mirror',
    setting:
      `\`weightvault serve\` of a file of ${bytes / 2 ** 20} MiB, asked by curl into /dev/null; nginx with sendfile and two ` +
      `workers gives the same file. Rates of small answers by wrk, 16 connections, ${seconds(options)} s; lists of ${repos} ` +
      `repositories. Both warm in the page cache; ours and the peer take turns. Median of ${options.rounds}.`,
    figures,
    notes,
  }
}

function seconds(options: BenchOptions): number {
  return options.quick ? 1 : 5
}

async function fileFigures(
  folder: string,
  options: BenchOptions & { bytes: number; hasNginx: boolean; hasWrk: boolean },
): Promise<Figure[]> {
  const { bytes } = options
  const vault = await BenchVault.make(folder, 'http://127.0.0.1:9')
  {
    await using hub = await BenchHub.start({ lineUp: { kind: 'one-file', bytes }, quotas: NO_QUOTAS })
    await BenchVault.make(folder, hub.url)
    await vault.runJson(['sync'])
  }
  await using ours = await RunningServer.weightvault(folder)
  const blobs = join(folder, 'archive', 'blobs', 'sha256')
  await using nginx = options.hasNginx ? await RunningServer.nginx(join(folder, 'nginx'), blobs) : undefined
  const [big, small] = await blobPaths(folder)
  const setup: Setup = { folder, ours, nginx, big, small, bytes }
  const streams = await streamFigures(setup, options)
  const perCore = options.hasWrk ? [await smallFigure(setup, options)] : []
  return [...streams, await memoryFigure(setup), ...perCore, await afterwards(ours)]
}

/** A server of its own, at its second start: what many small answers leave behind is another figure. */
async function memoryFigure({ folder }: Setup): Promise<Figure> {
  // The first start compiles the sources, in a checkout only; what that takes is kept at its end.
  await (await RunningServer.weightvault(folder))[Symbol.asyncDispose]()
  await using fresh = await RunningServer.weightvault(folder)
  await runTogether(fresh.url, BIG, STREAMS, [], folder)
  return {
    figure: `peak memory, ${STREAMS} streams at once, second start`,
    unit: 'bytes',
    ours: await fresh.peakRssBytes(),
    target: { atMost: 150e6 },
  }
}

async function afterwards(ours: RunningServer): Promise<Figure> {
  return {
    figure: 'peak memory of the server that gave all other answers',
    unit: 'bytes',
    ours: await ours.peakRssBytes(),
  }
}

/** Names of the two files as blobs, from the manifest. */
async function blobPaths(folder: string): Promise<[big: string, small: string]> {
  const list = JSON.parse((await measureList(folder)) || '{}') as { files: { path: string; sha256: string }[] }
  const blob = (path: string): string => {
    const sha256 = list.files.find((file) => file.path === path)?.sha256 ?? ''
    return `${sha256.slice(0, 2)}/${sha256}`
  }
  return [blob('model.safetensors'), blob('README.md')]
}

async function measureList(folder: string): Promise<string> {
  const { stdout } = await measureCommand('sh', ['-c', 'cat archive/manifests/Qwen/One-File/*.json'], folder)
  return stdout
}

async function streamFigures(setup: Setup, { rounds }: BenchOptions): Promise<Figure[]> {
  const cases: readonly { figure: string; clients: number; args: readonly string[]; bytes: number }[] = [
    { figure: 'GET', clients: 1, args: [], bytes: setup.bytes },
    { figure: 'GET with Range', clients: 1, args: ['-r', `1-${setup.bytes - 1}`], bytes: setup.bytes - 1 },
    { figure: 'GET by 8 clients at once', clients: 8, args: [], bytes: setup.bytes * 8 },
  ]
  const figures: Figure[] = []
  for (const { figure, clients, args, bytes } of cases) {
    const [ours, peer]: [number[], (number | undefined)[]] = [[], []]
    for (let round = 0; round <= rounds; round += 1) {
      const here = await runTogether(setup.ours.url, BIG, clients, args, setup.folder)
      const there = setup.nginx && (await runTogether(setup.nginx.url, setup.big, clients, args, setup.folder))
      // The first one warms up.
      if (round === 0) continue
      ours.push(bytes / here)
      peer.push(there === undefined ? undefined : bytes / there)
    }
    const value = medianOf(peer)
    figures.push({
      figure,
      unit: 'bytes-per-second',
      ours: medianOf(ours),
      peer: { name: 'nginx', value },
      target: value === undefined ? undefined : { atLeast: 0.9 * value },
    })
  }
  return figures
}

/** Seconds until so many curls, started together, all have the file. */
async function runTogether(
  url: string,
  path: string,
  clients: number,
  args: readonly string[],
  folder: string,
): Promise<number> {
  const startMs = performance.now()
  const runs = await Promise.all(
    Array.from({ length: clients }, () =>
      measureCommand('curl', ['-sSf', '-o', '/dev/null', ...args, `${url}/${path}`], folder),
    ),
  )
  const failed = runs.find(({ exitCode }) => exitCode !== 0)
  if (failed !== undefined) throw new Error(`curl ended with ${failed.exitCode}: ${failed.stderr}`)
  return (performance.now() - startMs) / 1000
}

/** Rate for each second of CPU that the server used: what one core gives. */
async function smallFigure({ ours, nginx, small, folder }: Setup, options: BenchOptions): Promise<Figure> {
  const here: (number | undefined)[] = []
  const there: (number | undefined)[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    const before = await ours.cpuSeconds()
    const { requests } = await load(`${ours.url}/${SMALL}`, folder, options)
    const after = await ours.cpuSeconds()
    here.push(before === undefined || after === undefined ? undefined : requests / (after - before))
    // Its workers are other processes: their rate is of both cores, and only for orientation.
    there.push(nginx && (await load(`${nginx.url}/${small}`, folder, options)).perSecond)
  }
  return {
    figure: 'small GETs for each second of server CPU',
    unit: 'requests-per-second',
    ours: medianOf(here),
    peer: { name: 'nginx, two workers, wall', value: medianOf(there) },
    target: { atLeast: 20_000 },
  }
}

async function listFigures(parent: string, repos: number, options: BenchOptions): Promise<Figure[]> {
  await using own = await BenchFolder.make()
  const folder = own.path
  const vault = await BenchVault.make(folder, 'http://127.0.0.1:9')
  {
    await using hub = await BenchHub.start({ lineUp: { kind: 'synthetic', count: repos }, quotas: NO_QUOTAS })
    await BenchVault.make(folder, hub.url)
    await vault.runJson(['sync'])
  }
  await using ours = await RunningServer.weightvault(folder)
  const figures: Figure[] = []
  for (const [figure, path] of [
    [`list of ${repos} repositories, 100 a page`, 'api/models?author=Qwen&limit=100'],
    ['tree', 'api/models/Qwen/Synthetic-00001/tree/main?recursive=true'],
    ['info', 'api/models/Qwen/Synthetic-00001'],
  ] as const) {
    const rates: number[] = []
    for (let round = 0; round < options.rounds; round += 1) {
      rates.push((await load(`${ours.url}/${path}`, parent, options)).perSecond)
    }
    figures.push({ figure, unit: 'requests-per-second', ours: medianOf(rates), target: { atLeast: 2000 } })
  }
  return figures
}

async function load(
  url: string,
  folder: string,
  options: BenchOptions,
): Promise<{ perSecond: number; requests: number }> {
  const args = ['-t1', '-c16', `-d${seconds(options)}s`, url]
  const { stdout, stderr } = await measureCommand('wrk', args, folder)
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
  if (!Number.isFinite(perSecond) || /Non-2xx/.test(stdout)) throw new Error(`wrk of ${url}: ${stdout}${stderr}`)
  return { perSecond, requests }
}

if (import.meta.main) await runAlone(mirror)
