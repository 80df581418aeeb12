import assert from 'node:assert/strict'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

test('runPass after the loss of catalog.db fetches no weights again and never gives an event number twice', async () => {
  await using hub = await startSimHub()
  const files = [{ path: 'model.safetensors', content: generated('weights', 3_000_000), lfs: true }]
  const commit = hub.world.addRepo('Qwen/A-1B', { card: { license: 'mit' }, files })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const manifest = join(vault.root, 'manifests', 'Qwen', 'A-1B', `${commit}.json`)
  const sealedBefore = await readFile(manifest, 'utf8')
  const lastBefore = (await vault.events()).at(-1)?.seq ?? 0
  const served = hub.bytesServed()

  await vault.archive[Symbol.asyncDispose]()
  for (const name of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm']) {
    await rm(join(vault.root, name), { force: true })
  }
  await vault.openAgain()
  const result = await vault.sync()

  assert.equal(result.sealed.length, 1)
  assert.ok(hub.bytesServed() - served < 100_000)
  assert.equal(await readFile(manifest, 'utf8'), sealedBefore)
  const first = (await vault.events())[0]?.seq
  assert.equal(first, lastBefore + 1)
  const journal = await readdir(join(vault.root, 'events'))
  const lines = await Promise.all(journal.map((name) => readFile(join(vault.root, 'events', name), 'utf8')))
  const seqs = lines.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { seq: number }).seq),
  )
  const last = (await vault.events()).at(-1)?.seq ?? 0
  assert.deepEqual(
    seqs,
    Array.from({ length: last }, (_, at) => at + 1),
  )
})
