import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TRACED, whyNotTraced } from '../../tests/crash/traced-child.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../../tests/support/sim-hub/types.ts'
import { type CampaignOptions, type CampaignResult, failureLine, HANGS_AFTER_MS } from './campaign-options.ts'
import { knownRepo } from './known-contents.ts'
import { onePass, writePassConfig } from './one-pass.ts'
import { Oracle } from './oracle.ts'

const CHILD = fileURLToPath(new URL('./pass-process.ts', import.meta.url))
const REPO = knownRepo('Qwen/Small-1B', [1_300_000, 3000, 0])
/** Calls that may change what a restart finds, but for writes that have their own faults. */
const KILLED_AT = [...TRACED, 'write', 'pwritev', 'pwritev2', 'fallocate']
const FAULTS: readonly { readonly calls: readonly string[]; readonly inject: string }[] = [
  { calls: KILLED_AT, inject: 'signal=SIGKILL' },
  { calls: ['pwrite64', 'pwritev', 'fallocate', 'ftruncate', 'mkdir', 'link', 'rename'], inject: 'error=ENOSPC' },
  { calls: ['pwrite64', 'pwritev', 'fsync', 'fdatasync', 'link', 'rename', 'unlink'], inject: 'error=EIO' },
]
/** More calls of one kind than a pass ever makes. */
const MOST_CALLS = 5000

interface Scene {
  readonly folder: string
  readonly hub: SimHub
  readonly commits: ReadonlyMap<string, string>
}

/**
 * One whole pass (listing, download, publish, manifest, catalog) that is killed at, or refused, its first, second, …
 * system call of each kind, until a pass is not met any more. Each time the restart must complete the archive.
 * `count`: only every so many-th call.
 */
export async function playSyscalls(options: CampaignOptions): Promise<CampaignResult> {
  const notDone = whyNotTraced()
  if (notDone !== undefined) return { summary: '', failures: [], notDone }
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-campaign-'))
  try {
    await using hub = await startSimHub({ pieceBytes: 'large' })
    const scene = { folder, hub, commits: new Map([[REPO.id, hub.world.addRepo(REPO.id, REPO.spec)]]) }
    return await sweepAll(scene, options)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function sweepAll(scene: Scene, options: CampaignOptions): Promise<CampaignResult> {
  const step = options.count ?? 1
  const failures: string[] = []
  let met = 0
  for (const { calls, inject } of FAULTS) {
    for (const call of calls) {
      const name = `${call}:${inject}`
      if (!name.includes(options.only ?? '')) continue
      let nth = 1 + (options.seed % step)
      for (; nth <= MOST_CALLS; nth += step) {
        const point = `${name}:when=${nth}`
        const isMet = await playPoint(scene, point).catch((error: unknown) => {
          failures.push(failureLine(point, error, `syscalls --only ${name}`))
          return true
        })
        if (!isMet) break
        met += 1
      }
      options.say(`${name}: ${nth - 1} calls, ${failures.length} failures so far`)
    }
  }
  return { summary: `${met} passes killed at or refused a system call, ${failures.length} failed`, failures }
}

/** Returns whether the pass came to the call at all. */
async function playPoint({ folder, hub, commits }: Scene, point: string): Promise<boolean> {
  const place = { folder: join(folder, 'place'), root: join(folder, 'place', 'archive'), hubUrl: hub.url }
  rmSync(place.folder, { recursive: true, force: true })
  mkdirSync(place.folder)
  const config = await writePassConfig(place)
  const oracle = new Oracle(place.root, REPO.files)

  const { ended, isMet } = await runTraced(folder, [config, place.folder], point)

  assert.doesNotMatch(ended, /TypeError|ReferenceError|RangeError/, 'a refused call is no bug')
  oracle.assertSound()
  if (ended !== 'complete') assert.equal(await onePass(config, place.folder), undefined, `after ${ended}`)
  oracle.assertComplete(commits)
  return isMet
}

async function runTraced(
  folder: string,
  args: readonly string[],
  point: string,
): Promise<{ ended: string; isMet: boolean }> {
  const call = point.slice(0, point.indexOf(':'))
  // Much faster, but strace 6.1 sends no signals then.
  const fast = point.includes('signal=') ? [] : ['--seccomp-bpf']
  const trace = join(folder, 'trace')
  const options = ['-f', ...fast, '-qq', '-o', trace, '-e', `trace=${call}`, '-e', `inject=${point}`]
  const child = spawn('strace', [...options, process.execPath, CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: HANGS_AFTER_MS,
    killSignal: 'SIGKILL',
    env: { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: join(folder, 'compiled') },
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child, 'close')
  const ended = said.trim() || 'killed'
  return { ended, isMet: ended === 'killed' || readFileSync(trace, 'utf8').includes('(INJECTED)') }
}
