import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scanCacheDir } from '@huggingface/hub'
import { generated } from '../support/content/generated.ts'
import { blobPath, readManifest } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { until } from '../support/until.ts'

const TOP = 'models--Qwen--Qwen3-0.6B'
const VIEWS = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
views:
  - { path: ./hub }
  - { path: ./some, repos: ["Qwen/Other*"] }
`

function files(seed: string) {
  return [
    { path: 'config.json', content: `{"seed":"${seed}"}\n` },
    { path: 'model.safetensors', content: generated(seed, 50_000), lfs: true },
  ]
}

test('a view shows each newest sealed commit whole, in hard links, and follows sync and the service', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3-0.6B', { files: files('a') })
  hub.world.addRepo('Qwen/Other', { files: files('b') })
  await using sandbox = await Sandbox.make(hub, VIEWS)
  const view = join(sandbox.folder, 'hub')
  const head = (): string => readFileSync(join(view, TOP, 'refs', 'main'), 'utf8')

  const checked = await sandbox.run(['sync', '--check'])
  assert.equal(checked.code, 20)
  assert.ok(!existsSync(view), 'nothing is sealed yet')
  await sandbox.run(['sync'])
  const first = head()
  const manifest = readManifest(sandbox.root, 'Qwen/Qwen3-0.6B', first)
  const weights = manifest.files.find((file) => file.path === 'model.safetensors')!
  assert.equal(
    statSync(join(view, TOP, 'snapshots', first, 'model.safetensors')).ino,
    statSync(blobPath(sandbox.root, weights.sha256!)).ino,
  )
  assert.deepEqual(readdirSync(join(sandbox.folder, 'some')), ['models--Qwen--Other'])

  const service = sandbox.start(['run'])
  hub.world.commit('Qwen/Qwen3-0.6B', { set: files('a2') })
  await until('the new commit is in the view', () => head() !== first)
  // The branch file comes last: what it names is whole.
  const second = head()
  for (const file of readManifest(sandbox.root, 'Qwen/Qwen3-0.6B', second).files) {
    assert.equal(statSync(join(view, TOP, 'snapshots', second, file.path)).size, file.size)
  }
  service.kill('SIGTERM')
  await service.ended

  assert.ok(existsSync(join(view, TOP, 'snapshots', first)), 'earlier commits stay')
  const scanned = await scanCacheDir(view)
  assert.deepEqual(scanned.warnings, [])
  assert.equal(scanned.repos.length, 2)
})

test('a view that cannot be kept is told and keeps no pass from going on; it heals by itself', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3-0.6B', { files: files('a') })
  await using sandbox = await Sandbox.make(hub, VIEWS)
  mkdirSync(join(sandbox.folder, 'hub', TOP), { recursive: true })
  const inTheWay = join(sandbox.folder, 'hub', TOP, 'blobs')
  writeFileSync(inTheWay, 'mine')

  const broken = await sandbox.run(['sync'])
  rmSync(inTheWay)
  const healed = await sandbox.run(['sync'])

  assert.equal(broken.code, 0)
  assert.match(broken.stderr, /view not updated/)
  assert.equal(healed.code, 0)
  assert.doesNotMatch(healed.stderr, /view not updated/)
  assert.equal(
    readdirSync(join(sandbox.folder, 'hub', TOP))
      .toSorted()
      .join(),
    'blobs,refs,snapshots',
  )
})
