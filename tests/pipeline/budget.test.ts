import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { SnapshotRow } from '../../src/archive-rows.ts'
import type { ContentKey } from '../../src/domain/listing.ts'
import type { RepoName, RepoRef } from '../../src/domain/repo.ts'
import type { PassResult } from '../../src/opened-archive.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

const NEW = '2026-05-01T00:00:00.000Z'
const OLD = '2024-05-01T00:00:00.000Z'
const BUDGET_YAML = 'budget: { total: 1MB, reserve: 1MB }\nwatch:\n  - { org: Qwen, every: 1s }\n'

function ref(name: string): RepoRef {
  return { type: 'model', name: name as RepoName }
}

async function newest(vault: TestVault, name: string): Promise<SnapshotRow | undefined> {
  return (await vault.archive.catalog.repoRow(ref(name)))?.newest
}

function lfs(path: string, seed: string, bytes: number): RepoSpec['files'][number] {
  return { path, content: generated(seed, bytes), lfs: true }
}

function codes(result: PassResult): string[] {
  return result.failed.map(({ code }) => code)
}

test('a small file that does not fit the budget keeps nothing else out, and the pass says why it is not here', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen9-1B', {
    createdAt: NEW,
    files: [
      { path: 'big.json', content: generated('j', 2_000_000) },
      { path: 'lie.txt', content: 'tiny', treeOverride: { size: 30_000_000 } },
    ],
  })
  hub.world.addRepo('Qwen/Q1-1B', { ...smallModel('q1'), createdAt: OLD })
  await using vault = await TestVault.open(hub, BUDGET_YAML)

  const [first, second] = [await vault.sync(), await vault.sync()]

  assert.deepEqual(
    first.sealed.map(({ repo }) => repo),
    ['Qwen/Q1-1B'],
  )
  assert.deepEqual([first.stoppedBy, second.stoppedBy], ['budget', 'budget'])
  assert.deepEqual(codes(first), [])
})

test('no budget is burned on a snapshot whose small files make it too large', async () => {
  await using hub = await startSimHub()
  const shards = Array.from({ length: 9 }, (_, at) => lfs(`m-0000${at + 1}-of-00009.safetensors`, `s${at}`, 110_000))
  const files = [...shards, { path: 'tokenizer.txt', content: generated('tok', 50_000) }]
  hub.world.addRepo('Qwen/A-1B', { files, createdAt: NEW })
  hub.world.addRepo('Qwen/Q2-1B', { ...smallModel('b', 300_000), createdAt: OLD })
  await using vault = await TestVault.open(hub, BUDGET_YAML)

  const result = await vault.sync()

  assert.deepEqual(
    result.sealed.map(({ repo }) => repo),
    ['Qwen/Q2-1B'],
  )
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.hold, 'budget')
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.filesHeld, 1)
})

test('equal content under two names, and in two commits, is counted once', async () => {
  await using hub = await startSimHub()
  const files = [lfs('model.safetensors', 'x', 600_000), lfs('consolidated.safetensors', 'x', 600_000)]
  hub.world.addRepo('Qwen/A-1B', { card: { license: 'mit' }, files })
  await using vault = await TestVault.open(hub, BUDGET_YAML)
  await vault.sync({ checkOnly: true })
  hub.world.commit('Qwen/A-1B', { card: { license: 'apache-2.0' } })

  const result = await vault.sync()

  assert.equal(result.stoppedBy, undefined)
  assert.equal(result.sealed.length, 2)
  assert.deepEqual(await vault.eventsOf('budget-reached'), [])
})

test('a gated repo reserves nothing that an open one could use, and is no failure of every pass', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { ...smallModel('a', 600_000), createdAt: NEW, gated: 'manual' })
  hub.world.addRepo('Qwen/Q2-1B', { ...smallModel('b', 600_000), createdAt: OLD })
  await using vault = await TestVault.open(hub, BUDGET_YAML)

  const first = await vault.sync()
  assert.ok(codes(first).length > 0)
  assert.ok(codes(first).every((code) => code === 'REPO_GATED'))
  const second = await vault.sync()

  assert.deepEqual(codes(second), [])
  assert.equal((await newest(vault, 'Qwen/Q2-1B'))?.state, 'sealed')
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.hold, 'gated')
  hub.world.setGated('Qwen/A-1B', false)
  await vault.reopen(hub, BUDGET_YAML.replace('1MB,', '10MB,'))
  await vault.sync()
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.state, 'sealed')
})

test('a repo that went before it was fetched gives its budget back and is not asked for any more', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { ...smallModel('a', 600_000), createdAt: NEW })
  hub.world.addRepo('Qwen/Q2-1B', { ...smallModel('b', 600_000), createdAt: OLD })
  await using vault = await TestVault.open(hub, BUDGET_YAML)
  await vault.sync({ checkOnly: true })
  hub.world.deleteRepo('Qwen/A-1B')

  let last = await vault.sync()
  for (let pass = 0; pass < 3; pass += 1) last = await vault.sync()

  assert.equal((await newest(vault, 'Qwen/Q2-1B'))?.state, 'sealed')
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.hold, 'unavailable')
  assert.deepEqual([codes(last), last.stoppedBy], [[], undefined])
})

test('a commit that was squashed away is blocked, and the next passes do not fail for it', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub, BUDGET_YAML)
  await vault.sync({ checkOnly: true })
  const gone = (await newest(vault, 'Qwen/A-1B'))?.commit
  hub.world.commit('Qwen/A-1B', { set: [lfs('model.safetensors', 'other', 50_000)] })
  hub.world.superSquash('Qwen/A-1B')

  assert.deepEqual(new Set(codes(await vault.sync())), new Set(['SNAPSHOT_UNKNOWN']))
  for (let pass = 0; pass < 3; pass += 1) assert.deepEqual(codes(await vault.sync()), [])

  const row = await vault.archive.catalog.repoByName(ref('Qwen/A-1B'))
  const old = gone && row ? await vault.archive.catalog.snapshot(row.repoId, gone) : undefined
  assert.deepEqual([old?.state, old?.blockedBy, old?.hold], ['blocked', 'SNAPSHOT_UNKNOWN', 'unavailable'])
  assert.equal((await newest(vault, 'Qwen/A-1B'))?.state, 'sealed')
})

test('a second bump is in front of the first, also after the schedule was made again', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3-A', { ...smallModel('a'), createdAt: NEW })
  hub.world.addRepo('Qwen/Qwen2-B', { ...smallModel('b'), createdAt: OLD })
  await using vault = await TestVault.open(hub, BUDGET_YAML)
  await vault.sync({ checkOnly: true })
  const { catalog } = vault.archive
  for (const name of ['Qwen/Qwen3-A', 'Qwen/Qwen2-B']) {
    const row = await catalog.repoByName(ref(name))
    assert.equal(await catalog.bump(row?.repoId ?? -1), 1)
  }

  await vault.sync({ checkOnly: true })

  const large = (await catalog.queue({ limit: 20 })).filter((job) => !job.isSmall)
  assert.deepEqual(
    large.map((job) => job.ref.name),
    ['Qwen/Qwen2-B', 'Qwen/Qwen3-A'],
  )
})

test('what is set aside, and begun by a job that nobody wants any more, counts in the budget', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 500_000))
  await using vault = await TestVault.open(hub, BUDGET_YAML)
  const fault = hub.faults.add({ origin: 'cdn', flipBit: 7 })
  assert.deepEqual(codes(await vault.sync()), ['DIGEST_MISMATCH'])
  fault.remove()
  const { blobs } = vault.archive
  assert.ok((await blobs.quarantineBytes()) > 500_000)

  assert.equal((await vault.sync()).stoppedBy, 'budget')
  await vault.reopen(hub, BUDGET_YAML.replace('1MB,', '1700kB,'))
  hub.world.addRepo('Qwen/B-1B', smallModel('b', 550_000))
  const key = `sha256-${'ab'.repeat(32)}` as ContentKey
  await using partial = await vault.archive.blobs.openPartial(key, 200_000, new AbortController().signal)
  await partial.append(Buffer.alloc(200_000), new AbortController().signal)
  assert.equal((await vault.sync()).stoppedBy, 'budget')
})

test('a small file of which something is there needs room for all of it: the pass says so instead of trying for ever', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: {}, files: [lfs('model.safetensors', 'a', 200_000)] })
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
  await using vault = await TestVault.open(hub)
  await writeFile(join(vault.root, 'partial', `sha256-${sha256}.part`), Buffer.alloc(200_000))
  const room = 50_000
  vault.archive.blobs.freeBytes = async () => vault.archive.settings.reserveBytes + room

  const { stoppedBy, failed } = await vault.sync({ signal: AbortSignal.timeout(HANGS_AFTER_MS) })

  assert.deepEqual([stoppedBy, failed], ['reserve', []])
})
