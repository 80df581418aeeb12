import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RepoName, RepoRef } from '../../src/domain/repo.ts'
import { generated } from '../support/content/generated.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

function model(seed: string): RepoSpec {
  return {
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, 3000), lfs: true },
    ],
  }
}

function ref(name: string): RepoRef {
  return { type: 'model', name: name as RepoName }
}

test('a pass over one watched repo touches no other, and its later loss is still noticed', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  await using vault = await TestVault.open(hub)

  const named = await vault.sync({ repos: [ref('Qwen/A-1B')] })
  assert.deepEqual(
    named.sealed.map(({ repo }) => repo),
    ['Qwen/A-1B'],
  )
  await vault.sync()
  await vault.sync({ repos: [ref('Qwen/A-1B')] })
  hub.world.deleteRepo('Qwen/A-1B')
  for (let poll = 0; poll < 3; poll += 1) await vault.sync()

  const [lost] = await vault.eventsOf('repo-unavailable')
  assert.equal(lost?.repo?.name, 'Qwen/A-1B')
  assert.equal((await vault.eventsOf('repo-unavailable')).length, 1)
  const row = await vault.archive.catalog.repoByName(ref('Qwen/A-1B'))
  assert.equal(row?.upstream, 'unavailable')
})

test('a repo that a removed watch entry brought in belongs to the entry that covers it now', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub, 'watch: [{ repo: Qwen/A-1B, every: 1s }]\n')
  await vault.sync()
  await vault.reopen(hub, DEFAULT_YAML)
  hub.world.deleteRepo('Qwen/A-1B')

  for (let poll = 0; poll < 3; poll += 1) await vault.sync()

  assert.equal((await vault.eventsOf('repo-unavailable')).length, 1)
})

test('an unwatched repo that is named is archived with everything it has', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('someone/Else-GGUF', model('else'))
  await using vault = await TestVault.open(hub)

  const result = await vault.sync({ repos: [ref('someone/Else-GGUF')] })

  assert.deepEqual(result.failed, [])
  assert.deepEqual(
    result.sealed.map(({ repo }) => repo),
    ['someone/Else-GGUF'],
  )
  assert.equal(result.fetchedFiles, 2)
})

test('a repo named by its old name is archived under its new one', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Old-1B', model('old'))
  hub.world.rename('Qwen/Old-1B', 'Qwen/New-1B')
  await using vault = await TestVault.open(hub)

  const result = await vault.sync({ repos: [ref('Qwen/Old-1B')] })

  assert.deepEqual(
    result.sealed.map(({ repo }) => repo),
    ['Qwen/New-1B'],
  )
})

test('a repo nobody knows is an error; one that is archived and gone is a failure that says it stays', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.deleteRepo('Qwen/A-1B')

  await assert.rejects(vault.sync({ repos: [ref('Qwen/Never-1B')] }), { code: 'REPO_UNKNOWN', hint: /spelling/ })
  const gone = await vault.sync({ repos: [ref('Qwen/A-1B')] })

  assert.deepEqual(
    gone.failed.map(({ code }) => code),
    ['REPO_UNAVAILABLE'],
  )
  assert.equal((await vault.archive.catalog.totals()).sealedSnapshots, 1)
})

test('an outage is one event, and its end one, although a named pass met it too', async () => {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('unsloth/B-GGUF', model('b'))
  const yaml = `${DEFAULT_YAML}  - { user: unsloth, every: 1s }\n`
  await using vault = await TestVault.open(hub, yaml, clock)
  await vault.sync()
  await hub.setOnline(false)

  for (let pass = 0; pass < 2; pass += 1) assert.equal((await vault.sync()).failed.length, 2)
  await vault.sync({ repos: [ref('Qwen/A-1B')] })
  assert.equal((await vault.eventsOf('hub-unreachable')).length, 1)
  await hub.setOnline(true)
  for (let pass = 0; pass < 2; pass += 1) assert.deepEqual((await vault.sync()).failed, [])

  assert.equal((await vault.eventsOf('hub-unreachable')).length, 1)
  assert.equal((await vault.eventsOf('hub-reachable')).length, 1)
  await hub.setOnline(false)
  await vault.sync()
  assert.equal((await vault.eventsOf('hub-unreachable')).length, 2, 'a second outage is news again')
})

test('large files wait outside the window, the pass says so, and inside it they come', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  const minutes = new Date().getHours() * 60 + new Date().getMinutes()
  const at = (minute: number): string =>
    [Math.floor(minute / 60) % 24, minute % 60].map((part) => String(part).padStart(2, '0')).join(':')
  const closed = `"${at(minutes + 120)}-${at(minutes + 180)}"`
  const yaml = DEFAULT_YAML.replace('reserve: 1MB', `reserve: 1MB, window: ${closed}`)
  await using vault = await TestVault.open(hub, yaml)

  const outside = await vault.sync()
  assert.equal(outside.stoppedBy, 'window')
  assert.equal(outside.fetchedFiles, 1)
  assert.deepEqual(outside.failed, [])
  await vault.reopen(hub, DEFAULT_YAML)
  const inside = await vault.sync()

  assert.equal(inside.stoppedBy, undefined)
  assert.equal(inside.sealed.length, 1)
})

test('an outage that another failure follows still ends with one event, and the next outage is told', async () => {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub, DEFAULT_YAML, clock)
  await vault.sync()
  const codesOf = async () => (await vault.sync()).failed.map(({ code }) => code)
  for (let outage = 0; outage < 2; outage += 1) {
    await hub.setOnline(false)
    assert.deepEqual(await codesOf(), ['HUB_UNREACHABLE'])
    await hub.setOnline(true)
    const fault = hub.faults.add({
      path: /\/api\/models/,
      mutateJson: (json) => [...(json as object[]), { ...(json as object[])[0], _id: 'a'.repeat(24) }],
    })
    assert.deepEqual(await codesOf(), ['LISTING_INCOMPLETE'])
    fault.remove()
    assert.deepEqual(await codesOf(), [])
  }

  const types = (await vault.events()).map(({ type }) => type).filter((type) => type.startsWith('hub-'))
  assert.deepEqual(types, ['hub-unreachable', 'hub-reachable', 'hub-unreachable', 'hub-reachable'])
})
