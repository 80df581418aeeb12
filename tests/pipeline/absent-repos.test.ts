import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { World } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

const SPEC = { card: { license: 'apache-2.0' }, files: [{ path: 'config.json', content: '{}\n' }] }
/** Enough polls for three confirmations, were each to start anew. */
const POLLS = 10

/** The events that a change of the Hub raised over many polls, beside those of the first one. */
async function eventsAfter(
  change: (world: World) => void,
): Promise<{ events: string[]; upstream: string | undefined }> {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', SPEC)
  hub.world.addRepo('Qwen/B-2B', SPEC)
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const before = await vault.events()
  change(hub.world)

  for (let poll = 0; poll < POLLS; poll += 1) await vault.sync()

  const events = (await vault.events()).slice(before.length)
  const row = await vault.archive.catalog.repoByName({ type: 'model', name: 'Qwen/A-1B' as never })
  return { events: events.map((event) => `${event.type} ${event.severity}`), upstream: row?.upstream }
}

test('a repository that is gone is told once, however often it is looked for', async () => {
  const after = await eventsAfter((world) => world.deleteRepo('Qwen/A-1B'))

  assert.deepEqual(after, { events: ['repo-unavailable critical'], upstream: 'unavailable' })
})

test('a repository that is disabled and no longer listed is told once', async () => {
  const after = await eventsAfter((world) => {
    world.setDisabled('Qwen/A-1B', 'info-403')
    world.hideFromListing('Qwen/A-1B', true)
  })

  assert.deepEqual(after, { events: ['repo-disabled critical'], upstream: 'disabled' })
})

test('a repository that moved to another owner is told once', async () => {
  const after = await eventsAfter((world) => world.rename('Qwen/A-1B', 'Elsewhere/A-1B'))

  assert.deepEqual(after, { events: ['repo-renamed warning'], upstream: 'renamed' })
})

test('a repository that only the listing lacks is not told at all', async () => {
  const after = await eventsAfter((world) => world.hideFromListing('Qwen/A-1B', true))

  assert.deepEqual(after, { events: [], upstream: 'ok' })
})
