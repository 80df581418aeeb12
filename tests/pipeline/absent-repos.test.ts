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

test('a commit of a repository that the listing lacks is listed and archived', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', SPEC)
  hub.world.addRepo('Qwen/B-2B', SPEC)
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.hideFromListing('Qwen/A-1B', true)
  const commit = hub.world.commit('Qwen/A-1B', { set: [{ path: 'new.json', content: '[]\n' }] })

  for (let poll = 0; poll < POLLS; poll += 1) await vault.sync()

  const row = await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as never })
  assert.deepEqual([row?.newest?.commit, row?.newest?.state, row?.upstream], [commit, 'sealed', 'ok'])
  assert.equal((await vault.eventsOf('repo-updated')).length, 1)
})

test('a name that another repository took while the listing lacks it is told as recreated', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', SPEC)
  hub.world.addRepo('Qwen/B-2B', SPEC)
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const { hubId } = hub.world.repo('Qwen/A-1B')
  hub.world.recreateRepo('Qwen/A-1B', SPEC)
  hub.world.hideFromListing('Qwen/A-1B', true)

  for (let poll = 0; poll < POLLS; poll += 1) await vault.sync()

  assert.equal((await vault.eventsOf('repo-recreated')).length, 1)
  assert.equal((await vault.archive.catalog.repoByHubId(hubId as never))?.upstream, 'recreated')
})

test('a single watched repository that is disabled is told at once and once, and its return, too', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', SPEC)
  await using vault = await TestVault.open(hub, 'watch: [{ repo: Qwen/A-1B, every: 1s }]\n')
  await vault.sync()
  const before = await vault.events()
  hub.world.setDisabled('Qwen/A-1B', 'info-403')

  for (let poll = 0; poll < 3; poll += 1) assert.deepEqual((await vault.sync()).failed, [])
  const row = await vault.archive.catalog.repoByName({ type: 'model', name: 'Qwen/A-1B' as never })
  assert.equal(row?.upstream, 'disabled')
  hub.world.setDisabled('Qwen/A-1B', false)
  await vault.sync()

  assert.deepEqual(
    (await vault.events()).slice(before.length).map((event) => `${event.type} ${event.severity}`),
    ['repo-disabled critical', 'repo-disabled notice'],
  )
})
