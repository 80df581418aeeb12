import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { readManifest } from '../support/held-files.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

function addModel(hub: SimHub): string {
  return hub.world.addRepo('Qwen/A-1B', {
    files: [
      { path: 'config.json', content: '{}\n' },
      { path: 'model.safetensors', content: generated('a', 3000), lfs: true },
    ],
  })
}

/** The catalog is gone; the next sync lists everything again. */
async function forgetCatalog(vault: TestVault): Promise<void> {
  await vault.archive[Symbol.asyncDispose]()
  for (const ending of ['', '-wal', '-shm']) await rm(join(vault.root, `catalog.db${ending}`), { force: true })
  await vault.reopen()
}

function listings(vault: TestVault): Promise<string[]> {
  return readdir(join(vault.root, 'listings', 'Qwen', 'A-1B'))
}

test('another promise for a known commit is an alarm: both listings are kept, and the first one stands', async () => {
  await using hub = await startSimHub()
  const commit = addModel(hub)
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const before = readManifest(vault.root, 'Qwen/A-1B', commit)
  await forgetCatalog(vault)
  hub.faults.add({
    path: /\/tree\//,
    mutateJson: (json) => [...(json as object[]), { type: 'file', path: 'extra.json', size: 2, oid: 'a'.repeat(40) }],
  })

  const result = await vault.sync()

  assert.deepEqual(result.failed, [])
  const [conflict, ...more] = await vault.eventsOf('listing-conflict')
  assert.equal(conflict?.severity, 'critical')
  assert.equal(conflict?.repo?.name, 'Qwen/A-1B')
  assert.equal(more.length, 0)
  const names = await listings(vault)
  assert.equal(names.length, 2, names.join())
  assert.ok(names.some((name) => name.startsWith(`${commit}.conflict-`)))
  assert.deepEqual(readManifest(vault.root, 'Qwen/A-1B', commit), before)
  assert.deepEqual(await readdir(join(vault.root, 'manifests', 'Qwen', 'A-1B')), [`${commit}.json`, `${commit}.sha256`])
})

test('a lost catalog is made again from the same promises, and nothing is fetched twice', async () => {
  await using hub = await startSimHub()
  addModel(hub)
  await using vault = await TestVault.open(hub)
  await vault.sync()
  await forgetCatalog(vault)
  const served = hub.bytesServed()

  const result = await vault.sync()

  assert.equal(result.sealed.length, 1)
  assert.equal((await vault.eventsOf('listing-conflict')).length, 0)
  assert.equal((await listings(vault)).length, 1)
  assert.ok(hub.bytesServed() - served < 100, 'only a small file without a SHA-256 promise is asked for again')
})

test('a listing on disk does when the Hub does not give the tree any more', async () => {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  const commit = addModel(hub)
  await using vault = await TestVault.open(hub, undefined, clock)
  await vault.sync()
  await forgetCatalog(vault)
  hub.faults.add({ path: /\/tree\//, status: 500 })

  const result = await vault.sync()

  assert.deepEqual(result.failed, [])
  assert.deepEqual(
    result.sealed.map((one) => one.commit),
    [commit],
  )
})
