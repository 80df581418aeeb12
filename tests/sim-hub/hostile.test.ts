import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/sim-hub/ask.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions } from '../support/sim-hub/types.ts'

async function hubWithRepo(options: SimHubOptions = {}): Promise<SimHub> {
  const hub = await startSimHub(options)
  hub.world.addRepo('Qwen/A', {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: '{}' },
      { path: 'a.gguf', content: generated(1, 400_000) },
    ],
  })
  return hub
}

async function linkOf(hub: SimHub): Promise<string> {
  return (await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)).headers['location'] ?? ''
}

test('a foreign Host is refused with 421 and recorded on both origins', async () => {
  await using hub = await hubWithRepo()
  const link = await linkOf(hub)
  hub.clearRequests()

  assert.equal((await ask(`${hub.url}/api/models`, { headers: { Host: 'huggingface.co' } })).status, 421)
  assert.equal((await ask(link, { headers: { Host: 'us.aws.cdn.hf.co' } })).status, 421)
  assert.equal((await ask(`${hub.url}/api/models`, { headers: { Host: 'localhost' } })).status, 421)

  assert.deepEqual(
    hub.requests.map((request) => [request.origin, request.foreignHost, request.status]),
    [
      ['hub', true, 421],
      ['cdn', true, 421],
      ['hub', true, 421],
    ],
  )
})

test('a token that reaches the CDN is seen by the test', async () => {
  await using hub = await hubWithRepo({ tokens: { hf_a: { user: 'a' } } })
  const link = await linkOf(hub)

  await ask(link, { headers: { Authorization: 'Bearer hf_a' } })
  await ask(link)

  const leaked = hub.requests.filter(
    (request) => request.origin === 'cdn' && request.headers['authorization'] !== undefined,
  )
  assert.equal(leaked.length, 1)
})

test('bodies arrive in many odd pieces, and whole', async () => {
  await using hub = await hubWithRepo()
  const link = await linkOf(hub)

  const answer = await ask(link)

  assert.ok(answer.body.equals(Buffer.from(generated(1, 400_000).read(0, 400_000))))
  assert.ok(answer.pieces.length > 8, `${answer.pieces.length} pieces`)
  assert.ok(answer.pieces.some((size) => size % 1024 !== 0))
})

test('pieceBytes bounds the pieces', async () => {
  await using hub = await hubWithRepo({ pieceBytes: { min: 7, max: 7 } })
  const info = await ask(`${hub.url}/api/models/Qwen/A`)
  assert.ok(info.pieces.length > 10)
  assert.equal((JSON.parse(info.text) as { id: string }).id, 'Qwen/A')

  await using large = await hubWithRepo({ pieceBytes: 'large' })
  const whole = await ask(await linkOf(large))
  assert.equal(whole.body.length, 400_000)
})

test('keys of objects come in another order each time, the same for the same seed', async () => {
  const bodies = async (seed: number) => {
    await using hub = await hubWithRepo({ seed })
    const texts: string[] = []
    for (let index = 0; index < 4; index++) texts.push((await ask(`${hub.url}/api/models/Qwen/A`)).text)
    return texts
  }

  const first = await bodies(1)
  assert.deepEqual(await bodies(1), first)
  assert.notDeepEqual(await bodies(2), first)
  const orders = first.map((text) => Object.keys(JSON.parse(text) as object).join())
  assert.ok(new Set(orders).size > 1)
  assert.equal(
    new Set(
      first.map((text) =>
        Object.keys(JSON.parse(text) as object)
          .sort()
          .join(),
      ),
    ).size,
    1,
  )
})

test('ids follow from the seed and the calls, not from the clock', async () => {
  const ids = async (seed: number, now: number) => {
    await using hub = await hubWithRepo({ seed, now: () => now })
    const { head, hubId } = hub.world.repo('Qwen/A')
    return [head, hubId]
  }

  assert.deepEqual(await ids(1, 1e12), await ids(1, 2e12))
  assert.notDeepEqual(await ids(1, 1e12), await ids(2, 1e12))
})

test('every reply of the Hub has its usual headers, and warns the anonymous', async () => {
  await using hub = await hubWithRepo({
    tokens: { hf_a: { user: 'a' } },
    now: () => Date.parse('2026-03-01T00:00:20Z'),
  })
  const answer = await ask(`${hub.url}/api/models/Qwen/A`)

  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  assert.match(answer.headers['etag'] ?? '', /^W\/"[^"]+"$/)
  assert.match(answer.headers['x-request-id'] ?? '', /^Root=1-[0-9a-f]{32}$/)
  assert.equal(answer.headers['x-powered-by'], 'huggingface-moon')
  assert.match(answer.headers['access-control-expose-headers'] ?? '', /X-Repo-Commit.*X-Xet-Hash/)
  assert.match(answer.headers['ratelimit'] ?? '', /^"api";r=\d+;t=\d+$/)
  assert.match(answer.headers['x-hf-warning'] ?? '', /^unauthenticated; /)
  assert.equal(answer.headers['date'], 'Sun, 01 Mar 2026 00:00:20 GMT')
  const known = await ask(`${hub.url}/api/models/Qwen/A`, { headers: { Authorization: 'Bearer hf_a' } })
  assert.equal(known.headers['x-hf-warning'], undefined)
  const head = await ask(`${hub.url}/api/models/Qwen/A`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.body.length], [200, 0])
})

test('offline refuses connections, and comes back on the same ports', async () => {
  await using hub = await hubWithRepo()
  const link = await linkOf(hub)
  hub.faults.add({ path: /models$/, stall: 'before-headers' })
  const dropped = assert.rejects(ask(`${hub.url}/api/models`), { code: 'ECONNRESET' })
  await hub.whenRequested((request) => request.path === '/api/models')

  await hub.setOnline(false)
  await dropped
  await assert.rejects(ask(`${hub.url}/api/models/Qwen/A`), { code: 'ECONNREFUSED' })
  await assert.rejects(ask(link), { code: 'ECONNREFUSED' })
  await hub.setOnline(true)
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A`)).status, 200)
  assert.equal((await ask(link)).status, 200)
})

test('whenRequested finds a request that came, waits for one to come, and gives up with its signal', async () => {
  await using hub = await hubWithRepo()
  const isList = (path: string) => (request: { path: string }) => request.path === path

  const waiting = hub.whenRequested(isList('/api/models?limit=1'))
  await ask(`${hub.url}/api/datasets`)
  await ask(`${hub.url}/api/models?limit=1`)
  assert.equal((await waiting).path, '/api/models?limit=1')
  assert.equal((await hub.whenRequested(isList('/api/datasets'))).status, 200)
  await assert.rejects(hub.whenRequested(isList('/never'), AbortSignal.timeout(20)), { name: 'AbortError' })
})

test('a mistake in a test throws instead of looking like an answer', async () => {
  await using hub = await hubWithRepo()

  assert.throws(() => hub.world.commit('Qwen/None', {}), /no repo Qwen\/None/)
  assert.throws(() => hub.world.commit('Qwen/A', { remove: ['none'] }), /no file "none"/)
  assert.throws(() => hub.world.addRepo('Qwen/A', { files: [] }), /exists already/)
  assert.throws(() => hub.world.moveBranch('Qwen/A', 'main', 'f'.repeat(40)), /no revision/)
  await assert.rejects(hub.world.file('Qwen/A', 'none'), /no file/)
  hub.faults.add({
    mutateJson() {
      throw new Error('a fault of the test itself')
    },
  })
  const failed = await ask(`${hub.url}/api/models`)
  assert.equal(failed.status, 599)
  assert.match(failed.text, /a fault of the test itself/)
})
