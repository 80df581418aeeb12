import assert from 'node:assert/strict'
import { chmod, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyArchive } from '../../src/maintenance/verify-archive.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { removeOrphans } from '../../src/pipeline/remove-orphans.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

const { signal } = new AbortController()
const DAY_MS = 24 * 60 * 60_000

function blobPath(vault: TestVault, sha256: string): string {
  return join(vault.root, 'blobs', 'sha256', sha256.slice(0, 2), sha256)
}

for (const [found, size] of [
  ['corrupt', 30_000],
  ['corrupt', 400_000],
  ['missing', 30_000],
  ['missing', 400_000],
] as const) {
  test(`a ${found} blob of ${size} bytes that verify finds is fetched again by the next pass, and told`, async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', {
      card: {},
      files: [{ path: 'model.safetensors', content: generated('a', size), lfs: true }],
    })
    await using vault = await TestVault.open(hub)
    await vault.sync()
    const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
    const path = blobPath(vault, sha256)
    await chmod(path, 0o640)
    if (found === 'corrupt') await writeFile(path, Buffer.alloc(size))
    else await rm(path)

    const first = await verifyArchive(vault.archive, {}, vault.progress, signal)
    const second = await verifyArchive(vault.archive, {}, vault.progress, signal)
    const result = await vault.sync()
    const last = await verifyArchive(vault.archive, {}, vault.progress, signal)

    assert.deepEqual([first.ok, second.ok, last.ok], [false, false, true])
    assert.equal(result.fetchedFiles, 1)
    assert.deepEqual(
      (await vault.eventsOf('fixity-failed')).map((event) => event.after),
      [found],
    )
    assert.deepEqual(
      (await vault.eventsOf('fixity-repaired')).map((event) => [event.before, event.after]),
      [[found, sha256]],
    )
    const kept = (await readdir(join(vault.root, 'quarantine'))).filter((name) => name.endsWith('.bin'))
    assert.equal(kept.length, found === 'corrupt' ? 1 : 0, 'bad bytes are kept as evidence')
    const row = await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as never })
    assert.equal(row?.newest?.state, 'sealed')
  })
}

test('a damaged blob that the Hub no longer has stays loud, and nothing that is good is lost', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', {
    card: {},
    files: [{ path: 'model.safetensors', content: generated('a', 30_000), lfs: true }],
  })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  await rm(blobPath(vault, sha256))
  hub.world.purgeLfs('Qwen/A-1B', 'model.safetensors')
  await verifyArchive(vault.archive, {}, vault.progress, signal)

  const result = await vault.sync()

  assert.equal(result.failed.length, 1)
  assert.equal((await vault.eventsOf('fixity-repaired')).length, 0)
  assert.equal((await verifyArchive(vault.archive, {}, vault.progress, signal)).missing.length, 1)
})

test('unfinished downloads are removed only when no job wants them and nobody touched them for a week', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', {
    card: {},
    files: [{ path: 'model.safetensors', content: generated('a', 400_000), lfs: true }],
  })
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const wanted = `sha256-${(await hub.world.file('Qwen/A-1B', 'model.safetensors')).sha256}`
  const [old, young] = [`sha256-${'1'.repeat(64)}`, `sha256-${'2'.repeat(64)}`]
  const longAgo = new Date(Date.now() - 8 * DAY_MS)
  for (const key of [wanted, old, young]) {
    const path = join(vault.root, 'partial', `${key}.part`)
    await writeFile(path, 'unfinished')
    if (key !== young) await utimes(path, longAgo, longAgo)
  }

  const removed = await removeOrphans(bindProgress(vault.archive, vault.progress), signal)

  assert.equal(removed, 1)
  assert.deepEqual(
    (await readdir(join(vault.root, 'partial'))).toSorted(),
    [`${young}.part`, `${wanted}.part`].toSorted(),
  )
})
