import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { generated } from '../../tests/support/content/generated.ts'
import { startFaultProxy } from '../../tests/support/fault-proxy/start-fault-proxy.ts'
import type { WireFault } from '../../tests/support/fault-proxy/wire-fault.ts'
import { HurriedClock } from '../../tests/support/hurried-clock.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { DEFAULT_YAML, TestVault } from '../../tests/support/test-vault.ts'
import { knownRepo } from './known-contents.ts'
import { Oracle } from './oracle.ts'

const LARGE = 3_000_000
const SMALL = 50_000

/** What the source that is tried first does for ever, and whether its bytes are then evidence to be kept. */
export const BAD_SOURCES: readonly { name: string; size: number; fault: WireFault; isEvidence: boolean }[] = [
  { name: 'serves a wrong byte of a large file', size: LARGE, fault: { flip: { file: 1_234_567 } }, isEvidence: true },
  { name: 'serves a wrong byte of a small file', size: SMALL, fault: { flip: { file: 1234 } }, isEvidence: true },
  { name: 'has lost the bytes', size: LARGE, fault: { answer: { status: 404 } }, isEvidence: false },
  { name: 'cuts every connection', size: LARGE, fault: { reset: { body: 0 } }, isEvidence: false },
]

/**
 * Two repos list the same SHA-256, and the one whose bytes are asked for first behaves badly for ever: everything must be
 * archived in one pass from the other one, with wrong bytes in quarantine.
 */
export async function playTwoSources({ size, fault, isEvidence }: (typeof BAD_SOURCES)[number]): Promise<void> {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now, pieceBytes: 'large' })
  const content = generated('both', size)
  const repos = ['Qwen/First-1B', 'Qwen/Second-1B'].map((id) => knownRepo(id, [], id, content))
  const commits = new Map(repos.map(({ id, spec }) => [id, hub.world.addRepo(id, spec)]))
  await using proxy = await startFaultProxy(hub)
  await using vault = await TestVault.open(proxy, DEFAULT_YAML, clock)
  const oracle = new Oracle(
    vault.root,
    repos.flatMap(({ files }) => files),
  )
  let bad: string | undefined
  proxy.onFile = (path) => {
    if (bad !== undefined) return
    bad = path
    proxy.faults.add({ origin: 'cdn', path: `^${path}`, ...fault })
  }

  const { failed, sealed } = await vault.sync()

  assert.deepEqual(failed, [])
  assert.equal(sealed.length, 2)
  assert.ok(proxy.faults.hits > 0, 'a fault was met')
  oracle.assertComplete(commits)
  const setAside = readdirSync(join(vault.root, 'quarantine')).filter((name) => name.endsWith('.json'))
  assert.equal(setAside.length, isEvidence ? 1 : 0, 'wrong bytes are kept as evidence')
  const damage = (await vault.events()).filter(({ type }) => type === 'upstream-damaged')
  assert.equal(damage.length, isEvidence ? 1 : 0, 'the damage is told')
}
