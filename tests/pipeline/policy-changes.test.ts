import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RepoName, RepoRef } from '../../src/domain/repo.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

const WEIGHT_BYTES = 50_000

function model(seed: string): RepoSpec {
  return {
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, WEIGHT_BYTES), lfs: true },
    ],
  }
}

function watching(...entries: readonly string[]): string {
  return `budget: { total: 100GB, reserve: 1MB }\nwatch:\n${entries.map((entry) => `  - { ${entry}, every: 1s }\n`).join('')}`
}

test('a repo that was renamed, and one named in other letters, keep the policy of the entry that names them', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  const metadata = 'keep: { files: metadata }'
  await using vault = await TestVault.open(
    hub,
    watching(`repo: Qwen/A-1B, ${metadata}`, `repo: qwen/b-1b, ${metadata}`),
  )
  await vault.sync()
  hub.world.rename('Qwen/A-1B', 'Qwen/A2-1B')
  hub.world.commit('Qwen/A2-1B', { set: [{ path: 'more.safetensors', content: generated('more', 5000), lfs: true }] })

  const result = await vault.sync()

  assert.deepEqual(
    result.sealed.map(({ repo }) => repo),
    ['Qwen/A2-1B'],
  )
  assert.ok((await vault.archive.catalog.totals()).blobBytes < 1000, 'only small files')
})

test('an entry for one repo in other letters goes before the entry of its owner', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/B-1B', model('b'))
  const yaml = watching('org: Qwen', 'repo: qwen/b-1b, keep: { files: metadata }')
  await using vault = await TestVault.open(hub, yaml)

  for (let pass = 0; pass < 2; pass += 1) assert.deepEqual((await vault.sync()).failed, [])

  assert.ok((await vault.archive.catalog.totals()).blobBytes < 1000, 'only small files')
})

test('a narrower policy stops what is queued, also of a commit that is not the newest', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub, watching('org: Qwen'))
  await vault.sync({ checkOnly: true })
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'model.safetensors', content: generated('new', 50_000), lfs: true }] })
  await vault.sync({ checkOnly: true })
  await vault.reopen(hub, watching('org: Qwen, keep: { files: metadata }'))

  await vault.sync()

  assert.ok((await vault.archive.catalog.totals()).blobBytes < 1000, 'only small files')
})

test('what nobody watches any more is held, and goes on when somebody watches or names it again', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  hub.world.addRepo('Other/C-1B', model('c'))
  await using vault = await TestVault.open(hub, watching('org: Qwen'))
  await vault.sync({ checkOnly: true })
  await vault.reopen(hub, watching('org: Other'))
  const sealedBy = async (repos: readonly RepoRef[] = []) =>
    (await vault.sync({ repos })).sealed.map(({ repo }) => repo).toSorted()

  assert.deepEqual(await sealedBy(), ['Other/C-1B'])
  const queued = await vault.archive.catalog.queue({ limit: 10 })
  assert.deepEqual(new Set(queued.map(({ hold }) => hold)), new Set(['unwatched']))
  assert.equal(queued.length, 4)
  assert.deepEqual(await sealedBy([{ type: 'model', name: 'Qwen/A-1B' as RepoName }]), ['Qwen/A-1B'])
  await vault.reopen(hub, watching('org: Qwen'))
  assert.deepEqual(await sealedBy(), ['Qwen/B-1B'])
})
