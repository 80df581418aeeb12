import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubFile, hubUnderTest, repoRef } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'
import { createVirtualClock } from './support/virtual-clock.ts'

const { signal } = new AbortController()

async function work(workers: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: workers }, worker))
}

test('600 questions and 300 resolves from 8 workers at once meet no 429 in a Hub of small quotas', async () => {
  const clock = createVirtualClock()
  const quotas = { api: 100, resolvers: 60, windowSeconds: 60 }
  await using sim = await startSimHub({ now: () => clock.now(), quotas })
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using it = hubUnderTest(sim.url, { clock })

  await work(8, 600, () => it.hub.askRepo(repoRef('Qwen/A'), signal))
  await work(8, 300, () => it.hub.resolveFile(hubFile('Qwen/A', head, 'a'), signal))

  assert.equal(sim.requests.length, 900)
  assert.deepEqual(
    sim.requests.filter((request) => request.status === 429),
    [],
  )
  assert.ok(it.waits.length > 0, 'someone is told why nothing moves')
})

test('small files of two requests each use all of a quota that only the first is charged to', async () => {
  const clock = createVirtualClock()
  await using sim = await startSimHub({ now: () => clock.now(), quotas: { resolvers: 200, windowSeconds: 300 } })
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using it = hubUnderTest(sim.url, { clock })

  // Less than where what is left is spread over the window.
  await work(8, 160, () => it.hub.fetchSmall(hubFile('Qwen/A', head, 'a'), Buffer.alloc(1), signal))

  assert.equal(sim.requests.length, 320)
  assert.deepEqual(it.waits, [])
})

const ROW = JSON.stringify({ _id: 'a'.repeat(24), id: 'Qwen/A' })

test('what a cache in front of the Hub repeats of a quota is not believed', async () => {
  for (const header of [{ age: '17' }, { 'x-cache': 'Hit from cloudfront' }]) {
    await using hub = await startRawServer((_, socket) => {
      socket.write(reply(200, { ratelimit: '"api";r=0;t=300', ...header }, ROW))
    })
    await using it = hubUnderTest(hub.origin)

    await work(2, 10, () => it.hub.askRepo(repoRef('Qwen/A'), signal))

    assert.deepEqual(it.waits, [])
  }
})

test('the quota of an anonymous caller is not taken for that of the token', async () => {
  const quotas = { anonymous: '"api";r=0;t=300', owner: '"api";r=900;t=300' }
  await using hub = await startRawServer((request, socket) => {
    const ratelimit = request.headers.has('authorization') ? quotas.owner : quotas.anonymous
    socket.write(reply(200, { ratelimit }, ROW))
  })
  await using it = hubUnderTest(hub.origin, { token: 'hf_owner' })
  await it.hub.askRepo(repoRef('Qwen/A'), signal, { anonymous: true })

  await work(2, 10, () => it.hub.askRepo(repoRef('Qwen/A'), signal))

  assert.deepEqual(it.waits, [])
})

test('a Hub without quotas is asked by all workers at once', async () => {
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(200, {}, JSON.stringify({ _id: 'a'.repeat(24), id: 'Qwen/A' })))
  })
  await using it = hubUnderTest(hub.origin)

  await work(8, 200, () => it.hub.askRepo(repoRef('Qwen/A'), signal))

  assert.equal(hub.requests.length, 200)
  assert.deepEqual(it.clock.sleeps, [])
})

test('an absurd reset or Retry-After is waited for only so long', async () => {
  let n = 0
  const limits = [
    { ratelimit: '"api";r=0;t=999999999' },
    { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' },
    { 'retry-after': '9999999999999' },
  ]
  await using hub = await startRawServer((_, socket) => {
    const headers = limits[n++]
    const row = JSON.stringify({ _id: 'a'.repeat(24), id: 'Qwen/A' })
    socket.write(headers === undefined ? reply(200, {}, row) : reply(429, headers))
  })
  await using it = hubUnderTest(hub.origin)
  const startMs = it.clock.now()

  await it.hub.askRepo(repoRef('Qwen/A'), signal)

  assert.ok(it.clock.now() - startMs <= 16 * 60_000 + 2 * 5 * 60_000)
})

test('waiting for a quota ends with the signal', async () => {
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(200, { ratelimit: '"api";r=0;t=300' }, JSON.stringify({ _id: 'a'.repeat(24), id: 'Qwen/A' })))
  })
  const abort = new AbortController()
  const clock = { ...createVirtualClock(), sleep: async () => abort.abort(new Error('stop')) }
  await using it = hubUnderTest(hub.origin, { clock })
  await it.hub.askRepo(repoRef('Qwen/A'), abort.signal)

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), abort.signal), /stop/)
  assert.equal(hub.requests.length, 1)
})
