import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { provenBlobs, readManifest } from '../support/held-files.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SeenRequest, SimHub } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

function listRequests(hub: SimHub): readonly SeenRequest[] {
  return hub.requests.filter(({ path }) => path.startsWith('/api/models?'))
}

suite('sync against the simulated Hub', { concurrency: 3 }, () => {
  test('of 600 unchanged repos asks two pages and fetches not a byte', async () => {
    const clock = new HurriedClock()
    await using hub = await startSimHub({ now: clock.now })
    const files = [{ path: 'config.json', content: '{}\n' }]
    for (let at = 0; at < 600; at += 1) hub.world.addRepo(`Qwen/M${at}-1B`, { files })
    await using vault = await TestVault.open(hub, DEFAULT_YAML, clock)
    const first = await vault.sync()
    assert.deepEqual([first.failed, first.sealed.length, first.fetchedFiles], [[], 600, 1])
    hub.clearRequests()
    const served = hub.bytesServed()

    const second = await vault.sync()

    assert.equal(hub.requests.length, 2)
    assert.equal(listRequests(hub).length, 2)
    assert.equal(hub.bytesServed(), served)
    assert.deepEqual([second.newEvents, second.changes, second.fetchedFiles], [0, 0, 0])
  })

  test('stays within the quota: not a single 429', async () => {
    const clock = new HurriedClock()
    await using hub = await startSimHub({ now: clock.now, quotas: { api: 40 } })
    for (let at = 0; at < 60; at += 1) hub.world.addRepo(`Qwen/M${at}-1B`, smallModel(`m${at}`, 500))
    await using vault = await TestVault.open(hub, DEFAULT_YAML, clock)

    const result = await vault.sync()

    assert.deepEqual([result.failed, result.sealed.length], [[], 60])
    assert.equal(hub.requests.filter(({ status }) => status === 429).length, 0)
  })

  test('fetches bytes that thirty repos share once, and seals all of them', async () => {
    await using hub = await startSimHub()
    const shared = generated('shared', 80_000)
    for (let at = 0; at < 30; at += 1) {
      hub.world.addRepo(`Qwen/M${at}-1B`, {
        files: [
          { path: `weights-${at}.safetensors`, content: shared, lfs: true },
          { path: 'LICENSE', content: 'the same text\n' },
        ],
      })
    }
    await using vault = await TestVault.open(hub)

    const result = await vault.sync()

    assert.deepEqual([result.failed, result.sealed.length, result.fetchedFiles], [[], 30, 2])
    assert.equal(hub.bytesServed(), 80_000 + 'the same text\n'.length)
  })

  test('holds empty files', async () => {
    await using hub = await startSimHub()
    const commit = hub.world.addRepo('Qwen/A-1B', {
      files: [
        { path: 'empty.txt', content: '' },
        { path: 'empty.safetensors', content: '', lfs: true },
      ],
    })
    await using vault = await TestVault.open(hub)

    const result = await vault.sync()

    assert.deepEqual([result.failed, result.sealed.length], [[], 1])
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    for (const file of readManifest(vault.root, 'Qwen/A-1B', commit).files) {
      assert.deepEqual([file.held, file.size, file.sha256], [true, 0, empty])
    }
    assert.deepEqual(provenBlobs(vault.root), [empty])
  })

  test('lists all of a repo with 3,000 files over many pages', async () => {
    await using hub = await startSimHub({ treePageSize: 200 })
    const files = Array.from({ length: 3000 }, (_, at) => ({ path: `part/${at}.json`, content: `{"n":${at % 7}}\n` }))
    const commit = hub.world.addRepo('Qwen/Many-1B', { files })
    await using vault = await TestVault.open(hub)

    const result = await vault.sync()

    assert.deepEqual([result.failed, result.fetchedFiles], [[], 7])
    const manifest = readManifest(vault.root, 'Qwen/Many-1B', commit)
    assert.equal(manifest.files.length, 3000)
    assert.ok(manifest.files.every((file) => file.held))
    assert.equal(manifest.coverage, 'all')
    assert.ok(hub.requests.filter(({ path }) => path.includes('/tree/')).length >= 15)
  })

  test('keeps the metadata of a gated repo, lets its weights wait, and archives the others', async () => {
    await using hub = await startSimHub()
    const commit = hub.world.addRepo('Qwen/Gated-1B', { ...smallModel('g'), gated: 'manual' })
    hub.world.addRepo('Qwen/Open-1B', smallModel('o'))
    await using vault = await TestVault.open(hub)

    const result = await vault.sync()

    assert.deepEqual(
      result.sealed.map(({ repo }) => repo),
      ['Qwen/Open-1B'],
    )
    assert.ok(result.failed.length > 0)
    assert.ok(result.failed.every(({ repo, code }) => repo === 'Qwen/Gated-1B' && code === 'REPO_GATED'))
    assert.match(result.failed[0]?.message ?? '', /gated/)
    const stored = await vault.archive.records.readListing('Qwen/Gated-1B' as never, commit as never)
    assert.equal(stored?.listing.license.license, 'apache-2.0')
    assert.equal(stored?.listing.gated, 'manual')
    assert.equal(stored?.listing.files.length, 3)
    const row = await vault.archive.catalog.repoByName({ type: 'model', name: 'Qwen/Gated-1B' as never })
    assert.equal(row?.upstream, 'gated')
    assert.equal((await vault.archive.catalog.totals()).jobsFailed, 3, 'they are tried again later')
  })

  test('sends the token to the Hub alone: not to the CDN, not to where a redirect leads', async () => {
    const token = 'hf_secretsecret'
    await using other = await startSimHub()
    await using hub = await startSimHub({ tokens: { [token]: { user: 'me', grants: ['Qwen/Secret-1B'] } } })
    hub.world.addRepo('Qwen/Secret-1B', { ...smallModel('s'), private: true })
    hub.world.addRepo('Qwen/Moved-1B', smallModel('m'))
    hub.faults.add({ path: /Moved-1B\/resolve/, redirectTo: `${other.url}/elsewhere` })
    await using vault = await TestVault.open(
      hub,
      `hub: { endpoint: "HUB", token: ${token} }\n${DEFAULT_YAML}log: { level: debug }\n`,
    )

    const result = await vault.sync()

    assert.deepEqual(
      result.sealed.map(({ repo }) => repo),
      ['Qwen/Secret-1B'],
    )
    const ofHub = hub.requests.filter(({ origin }) => origin === 'hub')
    assert.ok(ofHub.length > 0 && ofHub.every(({ headers }) => headers['authorization'] === `Bearer ${token}`))
    const strangers = [...hub.requests.filter(({ origin }) => origin === 'cdn'), ...other.requests]
    assert.ok(hub.requests.some(({ origin }) => origin === 'cdn'))
    assert.ok(other.requests.length > 0, 'the redirect was followed')
    for (const { headers } of strangers) assert.ok(!JSON.stringify(headers).includes(token))
    for (const name of await readdir(vault.root, { recursive: true })) {
      const text = await readFile(join(vault.root, name), 'latin1').catch(() => '')
      assert.ok(!text.includes(token), `${name} has no token`)
    }
  })
})
