import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startFaultProxy } from '../../tests/support/fault-proxy/start-fault-proxy.ts'
import type { WireFault } from '../../tests/support/fault-proxy/wire-fault.ts'
import { Sandbox } from '../../tests/support/sandbox.ts'
import { seededRandom, shuffled } from '../../tests/support/sim-hub/random.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { TEST_CA } from '../../tests/support/test-ca.ts'
import { type CampaignOptions, type CampaignResult, failureLine, HANGS_AFTER_MS } from './campaign-options.ts'
import { knownRepo } from './known-contents.ts'
import { networkScenarios } from './network-faults.ts'
import { Oracle } from './oracle.ts'
import { sceneFacts } from './play-scenario.ts'

const LONG_STORMS = 50
/** Storms at once: most of their time they wait for the next try. */
const AT_ONCE = 3
const FAULTS_OF_A_STORM = 12
const SYNCS_UNDER_FAULTS = 2
const MOST_SYNCS_AFTER = 3
/** Bytes that were wrong are asked for again after hours, and a Hub that says 429 may ask for minutes: not played in real time. */
const TAKES_HOURS = /flipped|429/

/**
 * The real command over TLS, through a proxy that does many things wrong at once, each some times, chosen by the seed.
 * `count`: storms.
 */
export async function playStorms(options: CampaignOptions): Promise<CampaignResult> {
  const count = options.count ?? LONG_STORMS
  const seeds = Array.from({ length: count }, (_, at) => options.seed + at)
  const failures: string[] = []
  let met = 0
  const play = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      await playStorm(seed).then(
        (hits) => (met += hits),
        (error: unknown) => failures.push(failureLine(`storm ${seed}`, error, `storms --seed ${seed} --count 1`)),
      )
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, play))
  const summary = `${count} storms over TLS with ${met} requests and connections hurt, ${failures.length} failed`
  return { summary, failures }
}

/** Some of the catalogue's faults, each from some request on, some times. */
function stormOf(random: () => number): WireFault[] {
  const fast = networkScenarios(sceneFacts()).filter(({ isSlow, name }) => !isSlow && !TAKES_HOURS.test(name))
  return shuffled(fast, random)
    .slice(0, FAULTS_OF_A_STORM)
    .flatMap(({ faults }) => faults)
    .map((fault) => ({ ...fault, nth: 1 + Math.floor(random() * 6), times: 1 + Math.floor(random() * 3) }))
}

async function playStorm(seed: number): Promise<number> {
  const random = seededRandom(seed)
  await using hub = await startSimHub({ seed, pieceBytes: { min: 1000, max: 200_000 } })
  const { size } = sceneFacts()
  const repos = [
    knownRepo('Qwen/Struck-1B', [size, size - 1], `${seed}`),
    knownRepo(
      'Qwen/Small-1B',
      Array.from({ length: 12 }, () => Math.floor(200_000 ** random())),
      `${seed} small`,
    ),
  ]
  const commits = new Map(repos.map(({ id, spec }) => [id, hub.world.addRepo(id, spec)]))
  await using proxy = await startFaultProxy(hub, { tls: true })
  await using sandbox = await Sandbox.make(proxy)
  const authority = join(sandbox.folder, 'ca.pem')
  await writeFile(authority, TEST_CA)
  const oracle = new Oracle(
    sandbox.root,
    repos.flatMap(({ files }) => files),
  )
  const sync = (): ReturnType<Sandbox['run']> =>
    sandbox.run(['sync', '--json'], { env: { NODE_EXTRA_CA_CERTS: authority }, deadlineMs: HANGS_AFTER_MS })

  proxy.faults.add(...stormOf(random))
  for (let at = 0; at < SYNCS_UNDER_FAULTS; at += 1) {
    const { code, stdout, stderr } = await sync()
    assert.ok(code === 0 || code === 8, `sync under faults ended with ${code}: ${stdout}${stderr}`)
    oracle.assertSound()
  }
  const { hits } = proxy.faults
  proxy.faults.clear()
  let last = await sync()
  for (let at = 1; at < MOST_SYNCS_AFTER && last.code !== 0; at += 1) last = await sync()
  assert.equal(last.code, 0, last.stdout + last.stderr)
  oracle.assertComplete(commits)
  assert.equal((await sandbox.run(['verify'])).code, 0)
  return hits
}
