import assert from 'node:assert/strict'
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyArchive } from '../../src/maintenance/verify-archive.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const never = new AbortController().signal

function model(seed: string): RepoSpec {
  return {
    card: { license: 'mit' },
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}` },
      { path: 'model.safetensors', content: generated(seed, 30_000), lfs: true },
    ],
  }
}

function blobPath(vault: TestVault, sha256: string): string {
  return join(vault.root, 'blobs', 'sha256', sha256.slice(0, 2), sha256)
}

function verify(vault: TestVault) {
  return verifyArchive(vault.archive, {}, vault.progress, never)
}

test('sealSnapshots blocks the snapshot whose listing is damaged and seals the others', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const listing = join(vault.root, 'listings', 'Qwen', 'A-1B', `${commit}.json`)
  const whole = await readFile(listing)
  await chmod(listing, 0o640)
  await writeFile(listing, '{"torn')

  const result = await vault.sync()
  await vault.sync()

  assert.deepEqual(
    result.sealed.map((one) => one.repo),
    ['Qwen/B-1B'],
  )
  assert.equal((await vault.eventsOf('fixity-failed')).length, 1)
  await writeFile(listing, whole)
  assert.deepEqual(
    (await vault.sync()).sealed.map((one) => one.repo),
    ['Qwen/A-1B'],
  )
})

test('sealSnapshots does not call a snapshot complete whose blob somebody removed', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('same'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  await rename(blobPath(vault, sha256), join(vault.folder, 'aside'))
  hub.world.addRepo('Qwen/B-1B', model('same'))

  const result = await vault.sync()

  assert.deepEqual(result.sealed, [])
  assert.equal((await vault.eventsOf('fixity-failed')).at(-1)?.after, 'FIXITY_FAILED')
  await rename(join(vault.folder, 'aside'), blobPath(vault, sha256))
  assert.equal((await vault.sync()).sealed.length, 1)
})

test('sealSnapshots takes nothing back that an earlier manifest proved, also when catalog and policy are new', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  await vault.archive[Symbol.asyncDispose]()
  for (const name of ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'])
    await rm(join(vault.root, name), { force: true })
  await vault.openAgain(hub, DEFAULT_YAML.replace('every: 1s', 'every: 1s, keep: { files: metadata }'))

  await vault.sync()

  const manifest = await vault.archive.records.readManifest('Qwen/A-1B' as never, commit as never)
  assert.ok(manifest?.files.every((file) => file.held))
  assert.equal((await verify(vault)).checkedFiles, 3)
})

test('verifyArchive goes on after a manifest that is gone, and raises the same damage once', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  await rm(join(vault.root, 'manifests', 'Qwen', 'A-1B', `${commit}.json`))
  const { sha256 } = await hub.world.file('Qwen/B-1B', 'model.safetensors')
  await chmod(blobPath(vault, sha256), 0o640)
  await writeFile(blobPath(vault, sha256), Buffer.alloc(30_000))

  const first = await verify(vault)
  await verify(vault)

  assert.equal(first.ok, false)
  assert.deepEqual(
    first.unreadable.map((one) => one.repo),
    ['Qwen/A-1B'],
  )
  assert.deepEqual(
    first.corrupt.map((one) => one.sha256),
    [sha256],
  )
  assert.equal((await vault.eventsOf('fixity-failed')).length, 1)
})

test('verifyArchive leaves what it wants again admitted or held as the budget has it, before any pass', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', {
    card: {},
    files: [{ path: 'model.gguf', content: generated('a', 400_000), lfs: true }],
  })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.gguf')
  const hold = async () =>
    (await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as never }))?.newest?.hold
  await rm(blobPath(vault, sha256), { force: true })

  assert.equal((await verify(vault)).missing.length, 1)

  assert.equal(await hold(), 'none')
})

test('a commit that is complete again keeps its manifest, and its event tells when that happened', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/A-1B', model('a'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  await rm(blobPath(vault, sha256), { force: true })
  await verify(vault)
  const foundAt = (await vault.eventsOf('fixity-failed')).at(-1)!.at

  await vault.sync()

  const [first, again] = await vault.eventsOf('snapshot-sealed')
  const manifest = await vault.archive.records.readManifest('Qwen/A-1B' as never, commit as never)
  assert.equal(manifest?.revision, 1)
  assert.equal(again?.detail['sealedAt'], manifest.sealedAt)
  assert.ok(manifest.sealedAt <= first!.at)
  assert.ok(again.at >= foundAt, `${again.at} is when it was complete again, after ${foundAt}`)
})
