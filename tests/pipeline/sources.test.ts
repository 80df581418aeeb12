import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { trySources } from '../../src/pipeline/try-sources.ts'
import type { Job } from '../../src/work-rows.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec, SimHub } from '../support/sim-hub/types.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const DAY_MS = 24 * 60 * 60 * 1000

function movableClock() {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    sleep: () => Promise.resolve(),
    advance: (ms: number) => {
      ahead += ms
    },
  }
}

/** Two sizes: one for the way of small files, one for that of large ones. */
const SIZES = [30_000, 400_000]

function modelWith(size: number, more: RepoSpec['files'] = []): RepoSpec {
  return { card: {}, files: [{ path: 'model.safetensors', content: generated('same', size), lfs: true }, ...more] }
}

function asked(hub: SimHub, repo: string): number {
  return hub.requests.filter(
    (request) => request.path.startsWith(`/${repo}/resolve/`) && request.path.endsWith('model.safetensors'),
  ).length
}

/** Answers of one repository's storage with a flipped bit. */
function damage(hub: SimHub, hubId: string) {
  return hub.faults.add({ origin: 'cdn', path: new RegExp(`/${hubId}/`), flipBit: 17 })
}

for (const size of SIZES) {
  test(`${size} wrong bytes of one repository are set aside and taken from another at once`, async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/Good-1B', modelWith(size))
    hub.world.addRepo('Qwen/Bad-1B', modelWith(size))
    damage(hub, hub.world.repo('Qwen/Bad-1B').hubId)
    await using vault = await TestVault.open(hub)

    const result = await vault.sync()

    assert.equal(result.failed.length, 0)
    assert.equal(result.sealed.length, 2)
    // Which of the two is asked first is the catalog's choice; the bad one is told if it was.
    const told = await vault.eventsOf('upstream-damaged')
    assert.equal(told.length, asked(hub, 'Qwen/Bad-1B') > 0 ? 1 : 0)
    assert.ok(asked(hub, 'Qwen/Good-1B') > 0)
  })

  test(`${size} bytes that are wrong everywhere: demoted, told once, never hot, also after a restart`, async () => {
    const clock = movableClock()
    await using hub = await startSimHub({ linkLifeSeconds: 1e9 })
    hub.world.addRepo('Qwen/Bad-1B', modelWith(size))
    damage(hub, hub.world.repo('Qwen/Bad-1B').hubId)
    await using vault = await TestVault.open(hub, DEFAULT_YAML, clock)
    await vault.sync()
    assert.equal(asked(hub, 'Qwen/Bad-1B'), 1)
    const [event] = await vault.eventsOf('upstream-damaged')
    assert.equal(event?.detail['path'], 'model.safetensors')
    assert.ok(Date.parse(String(event?.detail['notBefore'])) > clock.now())

    for (let restart = 0; restart < 3; restart += 1) {
      await vault.reopen()
      await vault.sync()
    }

    assert.equal(asked(hub, 'Qwen/Bad-1B'), 1, 'nothing is asked again before its time')
    const notes = readdirSync(join(vault.root, 'quarantine')).filter((name) => name.endsWith('.json'))
    assert.equal(notes.length, 1)
    const note = JSON.parse(readFileSync(join(vault.root, 'quarantine', String(notes[0])), 'utf8')) as { repo: string }
    assert.equal(note.repo, 'Qwen/Bad-1B')
    clock.advance(3 * DAY_MS)
    await vault.sync()
    assert.equal(asked(hub, 'Qwen/Bad-1B'), 2, 'and once at its time')
    assert.equal((await vault.eventsOf('upstream-damaged')).length, 2)
    const quarantined = readdirSync(join(vault.root, 'quarantine')).filter((name) => name.endsWith('.bin'))
    assert.equal(quarantined.length, 1, 'the same wrong bytes are kept once')
  })

  test(`${size} bytes that one repository lost are taken from another, which the policy leaves`, async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/Lost-1B', modelWith(size))
    hub.world.addRepo('Other/Kept-1B', modelWith(size))
    hub.world.purgeLfs('Qwen/Lost-1B', 'model.safetensors')
    const yaml = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
  - { org: Other, every: 1s, keep: { files: metadata } }
`
    await using vault = await TestVault.open(hub, yaml)

    await vault.sync()
    await vault.sync()

    const { sha256 } = await hub.world.file('Qwen/Lost-1B', 'model.safetensors')
    assert.equal(await vault.archive.blobs.sizeOf(sha256 as never), size)
    assert.equal(
      (await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/Lost-1B' as never }))?.newest?.state,
      'sealed',
    )
  })

  test(`${size} bytes that failed are asked for at once when a new repository lists them`, async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/Bad-1B', modelWith(size))
    damage(hub, hub.world.repo('Qwen/Bad-1B').hubId)
    await using vault = await TestVault.open(hub)
    assert.equal((await vault.sync()).sealed.length, 0)
    hub.world.addRepo('Qwen/Good-1B', modelWith(size))

    const result = await vault.sync()

    assert.equal(result.sealed.length, 2)
    assert.equal(asked(hub, 'Qwen/Bad-1B'), 1)
  })
}

test('the same bytes in 64 repositories are fetched once and stored once', async () => {
  await using hub = await startSimHub()
  for (let at = 0; at < 64; at += 1) {
    const more = SIZES.map((size) => ({
      path: `w-${size}.safetensors`,
      content: generated(`w${size}`, size),
      lfs: true,
    }))
    const text = [{ path: 'LICENSE', content: 'the same text' }]
    hub.world.addRepo(`Qwen/Copy-${at}`, { card: {}, files: [...more, ...text, { path: 'own.txt', content: `${at}` }] })
  }
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.equal(result.sealed.length, 64)
  for (const path of ['w-30000.safetensors', 'w-400000.safetensors', 'LICENSE']) {
    const times = hub.requests.filter(
      (request) => request.path.includes('/resolve/') && request.path.split('?')[0]?.endsWith(`/${path}`),
    ).length
    assert.equal(times, 1, path)
  }
  const blobs = (await vault.archive.catalog.totals()).blobs
  const onDisk = readdirSync(join(vault.root, 'blobs/sha256')).flatMap((name) =>
    readdirSync(join(vault.root, 'blobs/sha256', name)),
  )
  assert.equal(onDisk.length, blobs)
  assert.equal(blobs, 3 + 2 * 64, 'three shared contents, and a card and a text of each repository')
})

test('a small file whose bytes are held as an LFS file already is not fetched again', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: {}, files: [{ path: 'vocab.bin', content: 'the vocabulary', lfs: true }] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.addRepo('Qwen/B-1B', { card: {}, files: [{ path: 'vocab.txt', content: 'the vocabulary', lfs: false }] })
  hub.clearRequests()

  await vault.sync()

  assert.equal(hub.requests.filter((request) => request.path.includes('vocab.txt')).length, 0)
  assert.equal(
    (await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/B-1B' as never }))?.newest?.state,
    'sealed',
  )
})

for (const [faults, often] of [
  [1, 'once'],
  [2, '2 times'],
] as const) {
  test(`a source that is not asked again yet is told as served damaged ${often}`, async (t) => {
    const ref = { type: 'model', name: 'Qwen/Bad-1B' }
    const source = { ref, path: 'w.bin', repoId: 1, faults, notBeforeMs: 60_000 }
    const deps = { clock: { now: () => 0 } } as never

    const run = trySources(deps, { sources: [source] } as unknown as Job, new Map(), t.signal, () => assert.fail())

    await assert.rejects(run, { code: 'DIGEST_MISMATCH', message: new RegExp(`was served damaged ${often}; asked`) })
  })
}

for (const saysSize of [true, false]) {
  test(`a listing of the same bytes with another size undoes nothing of what came${saysSize ? '' : ', though the Hub says no size'}`, async () => {
    await using hub = await startSimHub({ pieceBytes: 'large' })
    const file = { path: 'model.safetensors', content: generated('same', 12_000_000), lfs: true }
    hub.world.addRepo('Qwen/Honest-1B', { card: {}, files: [file] })
    const { sha256 } = await hub.world.file('Qwen/Honest-1B', file.path)
    await using vault = await TestVault.open(hub)
    await stopHalfWay(hub, vault)
    const size = 20_000_000
    const treeOverride = { size, lfs: { oid: sha256, size, pointerSize: 133 } }
    hub.world.addRepo('Qwen/Lie-1B', { card: {}, files: [{ ...file, treeOverride }] })
    const link = hub.cdnUrl + hub.requests.find(({ origin }) => origin === 'cdn')!.path
    if (!saysSize) hub.faults.add({ origin: 'hub', path: /Lie-1B\/resolve/, redirectTo: link })
    const gone = hub.faults.add({ origin: 'hub', path: /Honest-1B\/resolve/, status: 404 })
    const lied = await vault.sync()
    gone.remove()

    const { sealed } = await vault.sync()

    const refused = lied.failed.find(({ repo }) => repo === 'Qwen/Lie-1B')
    assert.equal(refused?.code, saysSize ? 'HUB_ANSWER_INVALID' : 'TRANSFER_INVALID')
    assert.deepEqual(
      sealed.map(({ repo }) => repo),
      ['Qwen/Honest-1B'],
    )
    assert.ok(vault.progress.resumedAt.at(-1)! > 4_000_000)
  })
}

async function stopHalfWay(hub: SimHub, vault: TestVault): Promise<void> {
  const stop = new AbortController()
  let moved = 0
  vault.progress.moved = (_file?: unknown, bytes = 0): void => {
    moved += bytes
    if (moved >= 6_000_000) stop.abort()
  }
  const drip = hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 256 * 1024, everyMs: 5 } })
  await assert.rejects(vault.sync({ signal: stop.signal }), { name: 'AbortError' })
  drip.remove()
  vault.progress.moved = () => undefined
}
