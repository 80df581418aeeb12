import assert from 'node:assert/strict'
import { startFaultProxy } from '../../tests/support/fault-proxy/start-fault-proxy.ts'
import { HurriedClock } from '../../tests/support/hurried-clock.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { DEFAULT_YAML, TestVault } from '../../tests/support/test-vault.ts'
import { HANGS_AFTER_MS } from './campaign-options.ts'
import { knownRepo } from './known-contents.ts'
import type { NetworkScenario, SceneFacts } from './network-faults.ts'
import { Oracle } from './oracle.ts'

/** Default piece of the transfer: its borders are where faults are put. */
const PIECE_BYTES = 4 * 1024 * 1024
const SIZE = PIECE_BYTES + 70_001
/**
 * Where silence is the fault, its end comes soon. Long enough for a busy machine: this proxy and the program take turns in
 * one process, and a download fails only when the deadline passes five times in a row.
 */
const SHORT_DEADLINES = { headersMs: 3000, idleMs: 3000 } as const
/** More than any back-off of a single file: what waits is due again. */
const DAYS_MS = 8 * 24 * 3_600_000
/** Passes after the faults ended within which everything is archived. */
const MOST_PASSES = 3

const SPARED = knownRepo('Qwen/Spared-1B', [3000])
const STRUCK = knownRepo('Qwen/Struck-1B', [SIZE])

/** The facts are the same in every scene; the Hub's `_id` of the struck repo is not known before there is one. */
export function sceneFacts(hubId = '[0-9a-f]+'): SceneFacts {
  return { size: SIZE, pieceBytes: PIECE_BYTES, file: `^/xet-bridge-us/${hubId}/` }
}

/**
 * Plays one scenario with the program's pass in this process, hours passing in no time, and asserts what must hold.
 * @param pick which scenario, once the facts are known
 * @throws AssertionError naming what was lost, wrong or never came about
 */
export async function playScenario(pick: (facts: SceneFacts) => NetworkScenario): Promise<void> {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now, pieceBytes: { min: 4096, max: 262_144 } })
  const commits = new Map([SPARED, STRUCK].map(({ id, spec }) => [id, hub.world.addRepo(id, spec)]))
  await using proxy = await startFaultProxy(hub)
  const scenario = pick(sceneFacts(hub.world.repo('Qwen/Struck-1B').hubId))
  await using vault = await TestVault.open(proxy, DEFAULT_YAML, clock, scenario.isSlow ? SHORT_DEADLINES : undefined)
  const oracle = new Oracle(vault.root, [...SPARED.files, ...STRUCK.files])
  proxy.faults.add(...scenario.faults)

  const first = await vault.sync({ signal: AbortSignal.timeout(HANGS_AFTER_MS) })

  assert.ok(proxy.faults.hits > 0, 'a fault was met')
  oracle.assertSound()
  const sealed = first.sealed.map(({ repo }) => repo)
  if (scenario.outcome === 'heals') assert.deepEqual([sealed.length, first.failed], [2, []], 'one sync was enough')
  else if (scenario.isAboutOneFile) assert.ok(sealed.includes('Qwen/Spared-1B'), 'the other repo is whole')
  for (const { code } of first.failed) assert.notEqual(code, 'INTERNAL', 'a fault of the network is no bug')

  proxy.faults.clear()
  let isComplete = sealed.length === 2
  for (let pass = 0; pass < MOST_PASSES && !isComplete; pass += 1) {
    await clock.sleep(DAYS_MS, new AbortController().signal)
    await vault.sync({ signal: AbortSignal.timeout(HANGS_AFTER_MS) })
    oracle.assertSound()
    isComplete = (await vault.archive.catalog.totals()).sealedSnapshots === 2
  }
  oracle.assertComplete(commits)
}
