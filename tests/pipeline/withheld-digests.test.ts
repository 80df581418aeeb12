import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** The system's time, moved on by hand. */
function movableClock() {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    sleep: () => Promise.resolve(),
    advance: (ms: number) => {
      ahead += ms
    },
  }
}

function withheld(json: unknown): unknown {
  return (json as { lfs?: object }[]).map((entry) =>
    entry.lfs === undefined ? entry : { ...entry, lfs: { ...entry.lfs, oid: '*'.repeat(64) } },
  )
}

test('weights whose digests were withheld are archived when a later reading shows them, once a day', async () => {
  const clock = movableClock()
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub, undefined, clock)
  const fault = hub.faults.add({ path: /\/tree\//, mutateJson: withheld })
  await vault.sync()
  fault.remove()
  const newest = async () =>
    (await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as never }))?.newest
  assert.equal((await newest())?.coverage, 'selection')
  hub.clearRequests()
  await vault.sync()
  assert.equal(hub.requests.length, 1, 'the tree is not read again within the day')
  clock.advance(DAY_MS + 60_000)

  await vault.sync()

  const snapshot = await newest()
  assert.deepEqual([snapshot?.state, snapshot?.coverage, snapshot?.filesHeld], ['sealed', 'all', snapshot?.filesListed])
  assert.deepEqual(await vault.eventsOf('listing-conflict'), [])
})

test('a changed gate has the withheld digests read again at once; other facts are a conflict and change nothing', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub)
  const hidden = hub.faults.add({ path: /\/tree\//, mutateJson: withheld })
  await vault.sync()
  hidden.remove()
  const other = hub.faults.add({
    path: /\/tree\//,
    mutateJson: (json) => [...(json as object[]), { type: 'file', path: 'extra.json', size: 2, oid: 'a'.repeat(40) }],
  })
  hub.world.setGated('Qwen/A-1B', 'auto')
  await vault.sync()
  other.remove()
  const held = async () =>
    (await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as never }))?.newest?.coverage

  assert.equal((await vault.eventsOf('listing-conflict')).length, 1)
  assert.equal(await held(), 'selection')
  hub.world.setGated('Qwen/A-1B', false)
  await vault.sync()
  assert.equal(await held(), 'all')
})
