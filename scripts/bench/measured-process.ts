import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'

/** What a process used from its start to its end, as `report-usage.js` writes it. */
interface OwnUsage {
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}

/** A finished process and what it cost. */
export interface Measured {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly wallSeconds: number
  /** undefined where this system has no way to tell. */
  readonly cpuSeconds: number | undefined
  readonly peakRssBytes: number | undefined
}

const REPORT_USAGE = new URL('report-usage.js', import.meta.url).href
/** GNU time: CPU and peak memory of a program that is not ours. */
const TIME = '/usr/bin/time'

/** Seconds that a program that does only what the disk has to do says it took, without its start. @throws when it fails */
export async function measureFloor(args: readonly string[], cwd: string): Promise<number> {
  const { exitCode, stdout, stderr } = await measureNode(args, cwd)
  if (exitCode !== 0) throw new Error(`${args[0]} ended with ${exitCode}: ${stderr}`)
  return (JSON.parse(stdout) as { seconds: number }).seconds
}

/** Runs a Node program to its end; `args` start with Node's own flags, then the script. */
export async function measureNode(
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const child = spawn(process.execPath, ['--import', REPORT_USAGE, ...args], {
    cwd,
    env: { ...cleanEnvironment(cwd), ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const report = text(child.stdio[3] as Readable)
  const ended = await untilEnd(child)
  const usage = JSON.parse((await report) || '{}') as Partial<OwnUsage>
  return { ...ended, cpuSeconds: usage.cpuSeconds, peakRssBytes: usage.peakRssBytes }
}

/** Runs any other program to its end, through GNU time where it is installed. */
export async function measureCommand(command: string, args: readonly string[], cwd: string): Promise<Measured> {
  const options = { cwd, env: cleanEnvironment(cwd), stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] }
  if (!existsSync(TIME)) {
    const ended = await untilEnd(spawn(command, args, options))
    return { ...ended, cpuSeconds: undefined, peakRssBytes: undefined }
  }
  const ended = await untilEnd(spawn(TIME, ['-f', 'usage %U %S %M', command, ...args], options))
  const [, user, system, kilobytes] = /usage ([\d.]+) ([\d.]+) (\d+)\s*$/.exec(ended.stderr) ?? []
  return {
    ...ended,
    cpuSeconds: user === undefined ? undefined : Number(user) + Number(system),
    peakRssBytes: kilobytes === undefined ? undefined : Number(kilobytes) * 1024,
  }
}

/** Whether a program can be started at all: peers are shown only where they are installed. */
export async function isInstalled(command: string): Promise<boolean> {
  const child = spawn('sh', ['-c', 'command -v "$1"', 'sh', command], { stdio: 'ignore' })
  const [code] = (await once(child, 'close')) as [number | null]
  return code === 0
}

async function untilEnd(
  child: ChildProcess,
): Promise<Pick<Measured, 'exitCode' | 'stdout' | 'stderr' | 'wallSeconds'>> {
  const startMs = performance.now()
  const texts = Promise.all([text(child.stdout as Readable), text(child.stderr as Readable)])
  const [code] = (await once(child, 'exit')) as [number | null]
  const wallSeconds = (performance.now() - startMs) / 1000
  const [stdout, stderr] = await texts
  return { exitCode: code ?? -1, stdout, stderr, wallSeconds }
}

/**
 * No variable of the user's own set-up may steer a benchmark to a real Hub or lend it a token; compiled code is kept
 * beside the measured archive, so that the first call is a cold one.
 */
function cleanEnvironment(cwd: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: cwd, XDG_CACHE_HOME: join(cwd, 'cache'), LANG: 'C', NO_COLOR: '1' }
}
