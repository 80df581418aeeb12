import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventSentence } from '../../src/domain/event-sentence.ts'
import { replan } from '../../src/pipeline/run-pass.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const APACHE = { license: 'apache-2.0' }

function smallModel(seed: string, bytes = 50_000) {
  return {
    card: APACHE,
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, bytes), lfs: true },
    ],
  }
}

test('runPass archives, proves and seals everything of an organisation', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.world.addRepo('Qwen/B-2B', smallModel('b'))
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.deepEqual(result.failed, [])
  assert.equal(result.sealed.length, 2)
  const row = await vault.archive.catalog.repoByName({ type: 'model', name: 'Qwen/A-1B' as never })
  assert.equal(row?.head, commit)
  const manifest = await vault.archive.records.readManifest('Qwen/A-1B' as never, commit as never)
  const truth = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  const weights = manifest?.files.find((file) => file.path === 'model.safetensors')
  assert.equal(weights?.sha256, truth.sha256)
  assert.deepEqual(weights?.attestedBy, ['hub-lfs-oid'])
  const sums = await readFile(join(vault.root, 'manifests', 'Qwen', 'A-1B', `${commit}.sha256`), 'utf8')
  assert.ok(sums.includes(`${truth.sha256}  model.safetensors\n`))
})

test('runPass fetches nothing and asks only for the list when nothing changed', async () => {
  await using hub = await startSimHub()
  for (let at = 0; at < 30; at += 1) hub.world.addRepo(`Qwen/M${at}-1B`, smallModel(`m${at}`, 2000))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.clearRequests()
  const servedBefore = hub.bytesServed()

  const second = await vault.sync()

  assert.equal(hub.requests.length, 1)
  assert.equal(hub.bytesServed(), servedBefore)
  assert.equal(second.newEvents, 0)
  assert.equal(second.fetchedFiles, 0)
  assert.equal(second.changes, 0)
})

test('runPass does not download again what a README-only commit left alone', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 2_000_000))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const servedBefore = hub.bytesServed()
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'README.md', content: '---\nlicense: apache-2.0\n---\nnew words\n' }] })

  const second = await vault.sync()

  assert.equal(second.sealed.length, 1)
  assert.ok(hub.bytesServed() - servedBefore < 4096)
  const [updated] = await vault.eventsOf('repo-updated')
  assert.equal(updated?.detail['weightsChanged'], false)
  assert.equal(updated?.detail['cardOnly'], true)
})

test('runPass keeps both versions when weights change under the same name', async () => {
  await using hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const old = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  hub.world.commit('Qwen/A-1B', {
    set: [{ path: 'model.safetensors', content: generated('other', 50_000), lfs: true }],
  })

  await vault.sync()

  const [replaced] = await vault.eventsOf('files-replaced')
  assert.equal(replaced?.severity, 'warning')
  assert.equal(replaced?.before, first)
  assert.equal(await vault.archive.blobs.sizeOf(old.sha256 as never), 50_000)
  assert.ok(await vault.archive.records.readManifest('Qwen/A-1B' as never, first as never))
})

test('runPass quarantines bytes that differ from the promise and publishes nothing', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.faults.add({ origin: 'cdn', flipBit: 1000 })
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.equal(result.failed.length, 1)
  assert.equal(result.failed[0]?.code, 'DIGEST_MISMATCH')
  assert.equal(result.sealed.length, 0)
  const [damaged] = await vault.eventsOf('upstream-damaged')
  assert.equal(damaged?.detail['path'], 'model.safetensors')
  const again = await vault.sync()
  assert.equal(again.fetchedFiles, 0, 'bytes that never match are not fetched again at once')
})

test('runPass quarantines wrong bytes of files that only have a git id, too, however large', async () => {
  await using hub = await startSimHub()
  const plain = (bytes: number) => ({ content: Buffer.alloc(bytes, 'x'), lfs: false })
  hub.world.addRepo('Qwen/A-1B', {
    files: [
      { path: 'small.txt', ...plain(1000) },
      { path: 'large.txt', ...plain(700_000) },
    ],
  })
  hub.faults.add({ path: /resolve-cache/, flipBit: 500 })
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.deepEqual(result.failed.map(({ path, code }) => `${path} ${code}`).sort(), [
    'large.txt DIGEST_MISMATCH',
    'small.txt DIGEST_MISMATCH',
  ])
  assert.equal(result.sealed.length, 0)
  assert.equal((await vault.archive.blobs.quarantineBytes()) > 700_000, true)
})

test('runPass spends the budget on the smallest repos of the newest generation and says what stopped it', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3.5-9B', { ...smallModel('big', 400_000), createdAt: '2026-02-01T00:00:00.000Z' })
  hub.world.addRepo('Qwen/Qwen3.5-1B', { ...smallModel('small', 90_000), createdAt: '2026-02-02T00:00:00.000Z' })
  hub.world.addRepo('Qwen/Qwen2-1B', { ...smallModel('old', 80_000), createdAt: '2024-06-01T00:00:00.000Z' })
  await using vault = await TestVault.open(hub, DEFAULT_YAML.replace('100GB', '120KB'))

  const result = await vault.sync()

  assert.equal(result.stoppedBy, 'budget')
  assert.deepEqual(
    result.sealed.map((one) => one.repo),
    ['Qwen/Qwen3.5-1B'],
  )
  assert.equal((await vault.eventsOf('budget-reached')).length, 1)
})

test('runPass makes one event of a repository that refuses its files, and archives the others', async () => {
  await using hub = await startSimHub()
  const files = Array.from({ length: 20 }, (_, at) => ({ path: `part-${at}.txt`, content: `${at}` }))
  hub.world.addRepo('Qwen/Gated-1B', { card: APACHE, gated: 'manual', files })
  hub.world.addRepo('Qwen/Open-1B', smallModel('open'))
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.deepEqual(
    result.sealed.map((one) => one.repo),
    ['Qwen/Open-1B'],
  )
  const [event, ...others] = await vault.eventsOf('download-failed')
  assert.equal(others.length, 0)
  assert.match(eventSentence(event!), /^a download failed: the repository is gated: ask for access/)
  const told = result.failed.map(({ repo, path, code }) => `${repo} ${path} ${code}`)
  assert.deepEqual(told, ['Qwen/Gated-1B  REPO_GATED'])
  const refused = hub.requests.filter((request) => request.path.includes('/Qwen/Gated-1B/resolve/'))
  assert.ok(refused.length <= 8, `${refused.length} files were asked for`)
})

test('replan shows an edited policy and budget without asking the Hub', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 500_000))
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  hub.clearRequests()
  await vault.reopen(hub, DEFAULT_YAML.replace('every: 1s', 'every: 1s, keep: { files: metadata }'))

  await replan(vault.archive, vault.progress, new AbortController().signal)

  const totals = await vault.archive.catalog.planTotals()
  assert.ok(totals.bytesToFetch < 1000, `${totals.bytesToFetch} bytes`)
  assert.equal(hub.requests.length, 0)
})

test('replan holds back what a smaller budget has no room for', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 500_000))
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  await vault.reopen(hub, DEFAULT_YAML.replace('100GB', '100KB'))

  await replan(vault.archive, vault.progress, new AbortController().signal)

  const totals = await vault.archive.catalog.planTotals()
  assert.equal(totals.bytesHeldBack, 500_000)
})
