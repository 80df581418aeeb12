import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { commitId, hubUnderTest, repoRef } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()
const COMMIT = 'c'.repeat(40)
type Entry = Record<string, unknown>

function changeEntries(sim: SimHub, change: (entries: Entry[]) => unknown): void {
  sim.faults.add({ path: /\/tree\//, mutateJson: (json) => change(json as Entry[]) })
}

test('readTree names each state of a repository it cannot read', async () => {
  await using sim = await startSimHub({ tokens: { hf_user: { user: 'me' } } })
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using anonymous = hubUnderTest(sim.url)
  await using known = hubUnderTest(sim.url, { token: 'hf_user' })
  const read = (name: string, commit: string, it = anonymous) =>
    it.hub.readTree(repoRef(name), commitId(commit), signal)

  await assert.rejects(read('Qwen/A', 'f'.repeat(40)), { code: 'SNAPSHOT_UNKNOWN' })
  await assert.rejects(read('Qwen/B', head), { code: 'REPO_UNAVAILABLE' })
  await assert.rejects(read('Qwen/B', head, known), { code: 'REPO_UNAVAILABLE' })
  sim.world.setDisabled('Qwen/A', 'info-403')
  await assert.rejects(read('Qwen/A', head), { code: 'REPO_DISABLED' })
})

test('readTree follows a rename to the same commit and nothing else', async () => {
  await using sim = await startSimHub({ treePageSize: 2 })
  const files = ['a', 'b', 'c', 'd', 'e'].map((path) => ({ path, content: path }))
  const head = sim.world.addRepo('Qwen/A', { files })
  sim.world.rename('Qwen/A', 'Qwen/New')
  await using it = hubUnderTest(sim.url)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)
  assert.equal(tree.files.length, 5)

  for (const location of ['/api/models/Qwen/New', `/api/models/Qwen/New/tree/${'f'.repeat(40)}`, '/login', '']) {
    await using hub = await startRawServer((_, socket) => socket.write(reply(307, { location })))
    await using other = hubUnderTest(hub.origin)
    await assert.rejects(other.hub.readTree(repoRef('Qwen/A'), commitId(COMMIT), signal), {
      code: 'HUB_REDIRECT_REFUSED',
    })
  }
})

test('readTree ends a redirect loop', async () => {
  await using hub = await startRawServer((request, socket) => socket.write(reply(307, { location: request.path })))
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.readTree(repoRef('Qwen/A'), commitId(COMMIT), signal), { code: 'HUB_REDIRECT_REFUSED' })
  assert.equal(hub.requests.length, 6)
})

test('readTree refuses entries that cannot be believed and keeps the others', async () => {
  await using sim = await startSimHub()
  const bad: [string, Entry][] = [
    ['size-2^53.bin', { size: 9007199254740993n }],
    ['size-negative.bin', { size: -1 }],
    ['size-text.bin', { size: '123' }],
    ['oid-upper.bin', { oid: 'A'.repeat(40) }],
    ['lfs-short.bin', { lfs: { oid: 'a'.repeat(63), size: 1, pointerSize: 135 } }],
    ['lfs-size.bin', { lfs: { oid: 'a'.repeat(64), size: 2, pointerSize: 135 } }],
    ['a/./b', {}],
    ['submodule', { type: 'submodule' }],
  ]
  const head = sim.world.addRepo('Qwen/A', {
    files: [
      { path: 'good.txt', content: 'x' },
      ...bad.map(([path, treeOverride]) => ({ path, content: 'x', lfs: false, treeOverride })),
    ],
  })
  await using it = hubUnderTest(sim.url)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)

  assert.deepEqual(
    tree.files.map((file) => file.path),
    ['good.txt'],
  )
  assert.deepEqual(tree.refused.map((entry) => entry.path).sort(), bad.map(([path]) => path).sort())
  assert.ok(tree.refused.every((entry) => entry.reason.length > 5))
})

test('readTree keeps hostile names as they are, two lone surrogates two', async () => {
  await using sim = await startSimHub()
  const paths = ['../x', '\ud800.bin', '\ud801.bin', '__proto__', 'a\u0000b', 'a', 'a/b', 'constructor']
  const head = sim.world.addRepo('Qwen/A', { files: paths.map((path) => ({ path, content: path })) })
  await using it = hubUnderTest(sim.url)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)

  assert.deepEqual(tree.files.map((file) => file.path).sort(), paths.sort())
})

test('readTree reads invalid UTF-8 as U+FFFD', async () => {
  const entry = Buffer.concat([
    Buffer.from('[{"type":"file","oid":"'),
    Buffer.from(`${'a'.repeat(40)}","size":1,"path":"`),
    Buffer.from([0xff, 0xfe, 0x2e, 0x62]),
    Buffer.from('"}]'),
  ])
  await using hub = await startRawServer((_, socket) => socket.write(reply(200, {}, entry)))
  await using it = hubUnderTest(hub.origin)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(COMMIT), signal)

  assert.deepEqual(
    tree.files.map((file) => file.path),
    ['\ufffd\ufffd.b'],
  )
})

test('readTree takes the same entry twice for one, and another content for a listing in motion', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  changeEntries(sim, ([entry]) => [entry, entry])
  await using it = hubUnderTest(sim.url)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)
  assert.equal(tree.files.length, 1)

  changeEntries(sim, ([entry]) => [entry, { ...entry, size: 7 }])
  await assert.rejects(it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal), { code: 'LISTING_INCOMPLETE' })
})

test('readTree ends a tree without end', async () => {
  let page = 0
  await using hub = await startRawServer((request, socket) => {
    page++
    const next = request.path.replace(/\?.*/, `?page=${page}`)
    socket.write(reply(200, { link: `<${next}>; rel="next"` }, '[]'))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.readTree(repoRef('Qwen/A'), commitId(COMMIT), signal), { code: 'LISTING_INCOMPLETE' })
  assert.equal(page, 400)
})

test('readTree reads every page, with folders left out', async () => {
  await using sim = await startSimHub({ treePageSize: 7 })
  const files = Array.from({ length: 40 }, (_, n) => ({ path: `folder-${n % 5}/file-${n}.txt`, content: `${n}` }))
  const head = sim.world.addRepo('Qwen/A', { files: [...files, { path: 'm.safetensors', content: 'weights' }] })
  const promised = await sim.world.file('Qwen/A', 'm.safetensors')
  await using it = hubUnderTest(sim.url)

  const tree = await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)

  assert.equal(tree.files.length, 41)
  assert.deepEqual(
    tree.files.find((file) => file.path === 'm.safetensors'),
    {
      path: 'm.safetensors',
      size: 7,
      gitOid: promised.gitOid,
      isLfs: true,
      lfsOid: promised.sha256,
      xetHash: promised.xetHash,
    },
  )
})
