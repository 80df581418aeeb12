/** Large files against downloaders of the system: `node scripts/bench/large-files.ts [--quick] [--rounds N]`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchFolder } from './bench-vault.ts'
import type { EngineOptions, EngineReport } from './engine-process.ts'
import { medianOf, MEMORY_TARGET, type BenchOptions, type BenchResult, type Figure } from './figures.ts'
import { LineProcess } from './line-process.ts'
import { isInstalled, measureCommand, measureFloor, measureNode, type Measured } from './measured-process.ts'
import { NginxServer, type ServedFile } from './nginx-server.ts'

const MIB = 2 ** 20
const ENGINE = fileURLToPath(new URL('engine-process.ts', import.meta.url))
const RESUME_FLOOR = fileURLToPath(new URL('resume-floor-process.ts', import.meta.url))
const PROGRAM = new URL('../../bin/weightvault.js', import.meta.url)
/** As the program sets them for itself. */
const PROGRAM_FLAGS = [...readFileSync(PROGRAM, 'utf8').matchAll(/setFlagsFromString\('(--[^']+)'\)/g)].map(
  ([, flag]) => flag!,
)
const ROUND_TRIP_MS = 50
const LINE_BYTES_PER_SECOND = 25e6
/** What a line of 3 Gbit/s carries, over all connections. */
const NARROW_BYTES_PER_SECOND = 375e6
/** What nobody can be measured without. */
const NEEDED = ['nginx', 'openssl', 'curl']

type Scheme = 'http' | 'https'
/** One of those that are measured in turn. Makes its own folder empty first. */
type Contender = readonly [name: string, run: () => Promise<Measured>]

interface Stage {
  readonly server: NginxServer
  readonly work: string
  readonly rounds: number
  readonly hasAria2: boolean
  readonly hasHf: boolean
}

/** Downloads that are verified and durable, beside others, in interleaved rounds; the median of each is shown. */
export async function largeFiles(options: BenchOptions): Promise<BenchResult> {
  const missing = await notInstalled(NEEDED)
  const bench = 'large-files'
  if (missing.length > 0) return { bench, setting: `SKIPPED: ${missing.join(', ')} not installed here.`, figures: [] }
  await using folder = await BenchFolder.make()
  await using server = await NginxServer.start(join(folder.path, 'server'))
  const scale = options.quick ? 1 / 16 : 1
  const stage: Stage = {
    server,
    work: folder.path,
    rounds: options.rounds,
    hasAria2: await isInstalled('aria2c'),
    hasHf: await isInstalled('hf'),
  }
  // The compiled code is in its cache from now on.
  await ours(stage, { hub: server.hub('http'), files: [], atOnce: 1 })
  await clear(stage)
  const one = await server.add('one.bin', 1024 * MIB * scale)
  const figures = [...(await oneFile(stage, 'http', one)), ...(await oneFile(stage, 'https', one))]
  figures.push(...(await eightFiles(stage, 128 * MIB * scale)))
  figures.push(...(await farServer(stage, await server.add('far.bin', 256 * MIB * scale))))
  figures.push(...(await farServer(stage, one)))
  figures.push(...(await resumes(stage, 4096 * MIB * scale)))
  const absent = [...(stage.hasAria2 ? [] : ['aria2c']), ...(stage.hasHf ? [] : ['hf'])]
  return {
    bench,
    setting:
      `nginx on loopback, with a certificate made for this run; one file of ${one.size / MIB} MiB, eight of ` +
      `${(128 * MIB * scale) / MIB}. The far server is behind ${ROUND_TRIP_MS} ms and gives 25 MB/s a connection; a line of ` +
      '3 Gbit/s is shared by all connections, and without one a resume has loopback. ' +
      'Ours is the download path of the program in a process of its own, timed from the moment it is loaded (CPU and memory: ' +
      'of the whole process): resolved, downloaded, SHA-256 ' +
      `proven, fdatasync, published. Medians of ${options.rounds} interleaved rounds.`,
    figures,
    notes: absent.length === 0 ? [] : [`Not installed here, so not compared: ${absent.join(', ')}.`],
  }
}

async function oneFile(stage: Stage, scheme: Scheme, file: ServedFile): Promise<Figure[]> {
  const url = stage.server.url(scheme, file)
  const result = await inTurns(stage, [
    ['ours', () => ours(stage, { hub: stage.server.hub(scheme), files: [file], atOnce: 1 })],
    ['curl -o && sync -d', () => shell(stage, `curl -sf ${trust(stage)} -o out ${url} && sync -d out`)],
    ...aria2(stage, 8, url, file),
  ])
  const name = `1 file, ${scheme}`
  return [
    ...beside(name, result, 'curl -o && sync -d', scheme === 'http' ? 0.75 : 1.1),
    ...(stage.hasAria2 ? beside(name, result, 'aria2c -x8 --checksum', 1 / 3) : []),
    ...memory(name, result),
  ]
}

async function eightFiles(stage: Stage, size: number): Promise<Figure[]> {
  const files: ServedFile[] = []
  for (let index = 1; index <= 8; index += 1) files.push(await stage.server.add(`eight-${index}.bin`, size))
  const peer = 'xargs -P8 curl, tee, openssl dgst'
  const one = `curl -sf ${trust(stage)} $0 | tee out-\\$(basename $0) | openssl dgst -sha256`.replaceAll('\\$', '$')
  const urls = files.map((file) => stage.server.url('https', file)).join('\\n')
  const result = await inTurns(stage, [
    ['ours', () => ours(stage, { hub: stage.server.hub('https'), files, atOnce: 8 })],
    [peer, () => shell(stage, `printf '${urls}\\n' | xargs -P8 -n1 sh -c '${one}'`)],
  ])
  return [...beside('8 files, https', result, peer, 0.75), ...memory('8 files, https', result)]
}

async function farServer(stage: Stage, file: ServedFile): Promise<Figure[]> {
  const { size } = file
  const far = { kind: 'far', bytesPerSecond: LINE_BYTES_PER_SECOND, roundTripMs: ROUND_TRIP_MS } as const
  using line = await LineProcess.start(stage.server.ports.http, far)
  const hub = `${stage.server.hub('http')}/far/${line.port}`
  const result = await inTurns(stage, [
    ['ours', () => ours(stage, { hub, files: [file], atOnce: 1 })],
    ...aria2(stage, 16, `http://127.0.0.1:${line.port}/${file.path}`, file),
  ])
  const name = `far server, ${size / MIB} MiB`
  const rate = size / (result.get('ours')?.wallSeconds ?? Number.NaN)
  // One round trip to connect and one for the first byte: nobody has bytes before.
  const best = size / (size / (16 * LINE_BYTES_PER_SECOND) + (2 * ROUND_TRIP_MS) / 1000)
  return [
    { figure: `${name}: rate`, unit: 'bytes-per-second', ours: rate },
    {
      figure: `${name}: share of 16 connections`,
      unit: 'count',
      ours: rate / (16 * LINE_BYTES_PER_SECOND),
      target: { atLeast: 0.9 },
    },
    { figure: `${name}: share of that, after two round trips`, unit: 'count', ours: rate / best },
    ...(stage.hasAria2 ? beside(name, result, 'aria2c -x16 --checksum', 0.5) : []),
    ...memory(name, result),
  ]
}

/** Downloads killed half way, then finished: as fast as this machine is, and over a line that is slower than its disk. */
async function resumes(stage: Stage, size: number): Promise<Figure[]> {
  const file = await stage.server.add('resume.bin', size)
  const hub = stage.server.hub('https')
  const direct = await resume(stage, hub, file, 'https')
  using line = await LineProcess.start(stage.server.ports.https, {
    kind: 'narrow',
    bytesPerSecond: NARROW_BYTES_PER_SECOND,
  })
  const narrow = await resume(stage, `${hub}/far/${line.port}`, file, 'https, 3 Gbit/s')
  return [...direct, ...narrow, await resumeFloor(stage, size / 2)]
}

/** What the disk alone takes to read the old half and write the new one. */
async function resumeFloor(stage: Stage, half: number): Promise<Figure> {
  const seconds: number[] = []
  for (let round = 0; round < stage.rounds; round += 1) {
    seconds.push(await measureFloor([RESUME_FLOOR, join(stage.work, 'floor'), String(half)], stage.work))
    await rm(join(stage.work, 'floor'))
  }
  const figure = `resume of half of ${(2 * half) / 2 ** 30} GiB: the disk alone (old half read, new half written)`
  return { figure, unit: 'seconds', ours: medianOf(seconds) }
}

/** A download killed half way, then finished, beside a whole one. */
async function resume(stage: Stage, hub: string, file: ServedFile, line: string): Promise<Figure[]> {
  const how = { hub, files: [file], atOnce: 1 }
  const result = await inTurns({ ...stage, rounds: Math.min(stage.rounds, 3) }, [
    ['whole', () => ours(stage, how)],
    [
      'ours',
      async () => {
        await killHalfWay(stage, how, file.size)
        return ours(stage, how)
      },
    ],
  ])
  const name = `resume of half of ${file.size / 2 ** 30} GiB, ${line}`
  return [...beside(name, result, 'whole', 0.6), ...memory(name, result)]
}

async function killHalfWay(stage: Stage, how: Omit<EngineOptions, 'archive'>, size: number): Promise<void> {
  const archive = join(stage.work, 'archive')
  const child = spawn(process.execPath, [ENGINE, JSON.stringify({ ...how, archive })], {
    stdio: 'ignore',
    env: { ...process.env, NODE_EXTRA_CA_CERTS: stage.server.certificate },
  })
  const ended = once(child, 'exit')
  while (child.exitCode === null && (await partialBytes(archive)) < size / 2) {
    await new Promise<void>((resolve) => setTimeout(resolve, 5))
  }
  child.kill('SIGKILL')
  await ended
}

async function partialBytes(archive: string): Promise<number> {
  const names = await readdir(join(archive, 'partial')).catch(() => [])
  const part = names.find((name) => name.endsWith('.part'))
  return part === undefined ? 0 : (await stat(join(archive, 'partial', part))).size
}

/** Each contender once a round, in the same order; the medians by name. */
async function inTurns(stage: Stage, contenders: readonly Contender[]): Promise<Map<string, Measured>> {
  const runs = new Map<string, Measured[]>(contenders.map(([name]) => [name, []]))
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const [name, run] of contenders) {
      const measured = await run()
      if (measured.exitCode !== 0) throw new Error(`${name} ended with ${measured.exitCode}: ${measured.stderr}`)
      runs.get(name)?.push(measured)
      await clear(stage)
    }
  }
  const medians = [...runs].map(([name, all]): [string, Measured] => [name, medianRun(all)])
  return new Map(medians)
}

/** Nobody pays with the next sync for what the one before left to the file system. */
async function clear(stage: Stage): Promise<void> {
  for (const folder of ['archive', 'peer']) await rm(join(stage.work, folder), { recursive: true, force: true })
  await measureCommand('sync', ['-f', stage.work], stage.work)
}

function medianRun(all: readonly Measured[]): Measured {
  return {
    exitCode: 0,
    stdout: '',
    stderr: '',
    wallSeconds: medianOf(all.map((run) => run.wallSeconds)) ?? Number.NaN,
    cpuSeconds: medianOf(all.map((run) => run.cpuSeconds)),
    peakRssBytes: Math.max(...all.map((run) => run.peakRssBytes ?? 0)),
  }
}

async function ours(stage: Stage, how: Omit<EngineOptions, 'archive'>): Promise<Measured> {
  const archive = join(stage.work, 'archive')
  const environment = {
    NODE_EXTRA_CA_CERTS: stage.server.certificate,
    NODE_COMPILE_CACHE: join(stage.work, 'compiled'),
  }
  const run = await measureNode(
    [...PROGRAM_FLAGS, ENGINE, JSON.stringify({ ...how, archive })],
    stage.work,
    environment,
  )
  if (run.exitCode !== 0) return run
  // A service is loaded once, not for each file: its start is measured by other benchmarks.
  return { ...run, wallSeconds: (JSON.parse(run.stdout) as EngineReport).seconds }
}

async function shell(stage: Stage, script: string): Promise<Measured> {
  return measureCommand('sh', ['-c', `mkdir -p peer && cd peer && ${script}`], stage.work)
}

function aria2(stage: Stage, connections: number, url: string, file: ServedFile): Contender[] {
  if (!stage.hasAria2) return []
  const checks = `--checksum=sha-256=${file.sha256} --ca-certificate=${stage.server.certificate}`
  const ranges = `-x${connections} -s${connections} -k1M --file-allocation=none`
  return [
    [
      `aria2c -x${connections} --checksum`,
      () => shell(stage, `aria2c -q ${ranges} ${checks} -o out ${url} && sync -d out`),
    ],
  ]
}

function trust(stage: Stage): string {
  return `--cacert ${stage.server.certificate}`
}

function beside(what: string, result: ReadonlyMap<string, Measured>, peer: string, ratio: number): Figure[] {
  const [mine, theirs] = [result.get('ours'), result.get(peer)]
  if (mine === undefined || theirs === undefined) return []
  return [
    {
      figure: `${what}: wall`,
      unit: 'seconds',
      ours: mine.wallSeconds,
      peer: { name: peer, value: theirs.wallSeconds },
      target: { atMost: theirs.wallSeconds * ratio },
    },
    { figure: `${what}: CPU`, unit: 'seconds', ours: mine.cpuSeconds, peer: { name: peer, value: theirs.cpuSeconds } },
  ]
}

function memory(what: string, result: ReadonlyMap<string, Measured>): Figure[] {
  const peak = result.get('ours')?.peakRssBytes
  return [{ figure: `${what}: peak memory`, unit: 'bytes', ours: peak, target: MEMORY_TARGET }]
}

async function notInstalled(commands: readonly string[]): Promise<string[]> {
  const found = await Promise.all(commands.map(isInstalled))
  return commands.filter((_, index) => found[index] === false)
}

if (import.meta.main) await runAlone(largeFiles)
