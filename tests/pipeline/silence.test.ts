import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'

const DAY_MS = 86_400_000
const YAML = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s, silent_after: 30d }
`

async function watched(): Promise<{
  hub: SimHub
  vault: TestVault
  clock: HurriedClock
  after: (days: number) => Promise<string[]>
}> {
  const clock = new HurriedClock(Date.parse('2026-03-01T12:00:00.000Z'))
  const hub = await startSimHub({ now: clock.now })
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 1000))
  const vault = await TestVault.open(hub, YAML, clock)
  await vault.sync()
  const after = async (days: number): Promise<string[]> => {
    clock.skip(days * DAY_MS)
    await vault.sync()
    return (await vault.eventsOf('org-silent')).map(
      ({ detail }) => `${String(detail['reason'])} ${String(detail['quietDays'])}`,
    )
  }
  return { hub, vault, clock, after }
}

test('a silence is told once over restarts, ends with a commit of any date, and the next one is told again', async () => {
  const { hub, vault, after } = await watched()
  await using _hub = hub
  await using _vault = vault

  assert.deepEqual(await after(29), [])
  assert.deepEqual(await after(2), ['days 31'])
  await vault.reopen(hub, YAML)
  assert.deepEqual(await after(20), ['days 31'])
  // Made in private weeks ago: what counts is when it was noticed.
  hub.world.commit('Qwen/A-1B', { date: '2026-02-01T00:00:00.000Z', set: [{ path: 'b', content: 'b\n' }] })
  assert.deepEqual(await after(1), ['days 31'])
  assert.deepEqual(await after(29), ['days 31'])
  assert.deepEqual(await after(2), ['days 31', 'days 31'])
})

test('an outage is no silence, and neither is a clock that is years off', async () => {
  const { hub, vault, after } = await watched()
  await using _hub = hub
  await using _vault = vault
  await hub.setOnline(false)
  assert.deepEqual(await after(40), [])
  await hub.setOnline(true)
  const fault = hub.faults.add({ dateSkewSeconds: -10 * 365 * 86_400 })
  assert.deepEqual(await after(1), [])
  fault.remove()
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'b', content: 'b\n' }] })
  assert.deepEqual(await after(1), [])
})
