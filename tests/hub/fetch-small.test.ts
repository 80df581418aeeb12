import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { hubFile, hubUnderTest, SHORT_MS } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()
const COMMIT = 'c'.repeat(40)
const FILE = hubFile('Qwen/A', COMMIT, 'config.json')
const SIZE = 11
const BODY = 'hello world'

function oneRepo(hub: SimHub, content: string, lfs = false) {
  const commit = hub.world.addRepo('Qwen/A', { card: {}, files: [{ path: 'f.txt', content, lfs }] })
  return hubFile('Qwen/A', commit, 'f.txt')
}

test('fetchSmall follows the Hub to the bytes of git files and of LFS files, and says their promised hash', async () => {
  await using sim = await startSimHub()
  await using it = hubUnderTest(sim.url)
  for (const [name, lfs] of [
    ['Qwen/Git', false],
    ['Qwen/Lfs', true],
  ] as const) {
    const commit = sim.world.addRepo(name, { card: {}, files: [{ path: 'f.txt', content: BODY, lfs }] })
    const into = Buffer.alloc(SIZE)

    const { etag } = await it.hub.fetchSmall(hubFile(name, commit, 'f.txt'), into, signal)

    assert.equal(into.toString(), BODY)
    const facts = await sim.world.file(name, 'f.txt')
    assert.equal(etag, lfs ? facts.sha256 : facts.gitOid)
  }
  assert.ok(!sim.requests.some((request) => request.method === 'HEAD'))
})

test('fetchSmall asks once where the Hub answers directly, without a range and without a coding', async () => {
  await using raw = await startRawServer((_, socket) => socket.write(reply(200, {}, BODY)))
  await using it = hubUnderTest(raw.origin)
  const into = Buffer.alloc(SIZE)

  await it.hub.fetchSmall(FILE, into, signal)

  assert.equal(into.toString(), BODY)
  assert.equal(raw.requests.length, 1)
  assert.equal(raw.requests[0]?.headers.get('accept-encoding'), 'identity')
  assert.equal(raw.requests[0]?.headers.get('range'), undefined)
})

test('an empty file is fetched whole, too', async () => {
  await using sim = await startSimHub()
  const file = oneRepo(sim, '')
  await using it = hubUnderTest(sim.url)

  await it.hub.fetchSmall(file, new Uint8Array(0), signal)
})

/** BODY behind a head, in one chunk. */
function chunked(head: string, body: string): Buffer {
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  return Buffer.from(`HTTP/1.1 200 OK\r\n${head}transfer-encoding: chunked\r\n\r\n${chunk}`)
}

const LIES: readonly [what: string, answer: Buffer, code: string][] = [
  ['more bytes than listed', reply(200, {}, `${BODY}!`), 'TRANSFER_INVALID'],
  ['fewer bytes than listed', reply(200, {}, 'hello'), 'TRANSFER_INVALID'],
  ['more bytes than listed, in chunks', chunked('', `${BODY}!`), 'TRANSFER_INVALID'],
  ['fewer bytes than listed, in chunks', chunked('', 'hello'), 'TRANSFER_INTERRUPTED'],
  ['a length and chunks', chunked(`content-length: ${SIZE}\r\n`, BODY), 'TRANSFER_INVALID'],
  ['coded bytes', reply(200, { 'content-encoding': 'gzip' }, BODY), 'TRANSFER_INVALID'],
  ['another commit', reply(200, { 'x-repo-commit': 'd'.repeat(40) }, BODY), 'HUB_ANSWER_INVALID'],
  ['another size', reply(200, { 'x-linked-size': '12' }, BODY), 'HUB_ANSWER_INVALID'],
  ['a part', reply(206, { 'content-range': 'bytes 0-10/11' }, BODY), 'TRANSFER_INVALID'],
  ['a redirect without an address', reply(302, {}, ''), 'HUB_REDIRECT_REFUSED'],
  ['a redirect to a file', reply(302, { location: 'file:///etc/passwd' }, ''), 'HUB_REDIRECT_REFUSED'],
  ['a page that is no file', reply(404, {}, 'no'), 'FILE_UNAVAILABLE'],
]

for (const [what, answer, code] of LIES) {
  test(`fetchSmall refuses ${what}`, async () => {
    await using raw = await startRawServer((_, socket) => socket.write(answer))
    await using it = hubUnderTest(raw.origin)

    await assert.rejects(it.hub.fetchSmall(FILE, Buffer.alloc(SIZE), signal), { code })
  })
}

test('fetchSmall does not follow redirects for ever', async () => {
  await using sim = await startSimHub()
  const file = oneRepo(sim, BODY)
  sim.faults.add({ path: /resolve/, redirectLoop: true })
  await using it = hubUnderTest(sim.url)

  await assert.rejects(it.hub.fetchSmall(file, Buffer.alloc(SIZE), signal), { code: 'HUB_REDIRECT_REFUSED' })
  assert.ok(sim.requests.length <= 6)
})

test('the token goes to the Hub and not to where it redirects', async () => {
  await using sim = await startSimHub({ tokens: { hf_canary: { user: 'me' } } })
  const file = oneRepo(sim, BODY, true)
  await using it = hubUnderTest(sim.url, { token: 'hf_canary' })

  await it.hub.fetchSmall(file, Buffer.alloc(SIZE), signal)

  const withToken = sim.requests.filter((request) => request.headers['authorization'] !== undefined)
  assert.ok(withToken.length > 0)
  assert.ok(withToken.every((request) => request.origin === 'hub'))
  assert.ok(sim.requests.some((request) => request.origin === 'cdn'))
})

for (const fault of [
  { what: 'a connection that is cut', change: { cutAfter: 3 } },
  { what: 'a body that ends early', change: { shortBody: 3 } },
  { what: 'a server that is unwell', change: { status: 503 } },
  { what: 'too many requests', change: { tooManyRequests: 'retry-after' as const } },
  { what: 'an expired link', change: { expireLink: true } },
]) {
  test(`fetchSmall outlasts ${fault.what}`, async () => {
    await using sim = await startSimHub()
    const file = oneRepo(sim, BODY, true)
    const handle = sim.faults.add({ path: /resolve|xet-bridge/, times: 2, ...fault.change })
    await using it = hubUnderTest(sim.url)
    const into = Buffer.alloc(SIZE)

    await it.hub.fetchSmall(file, into, signal)

    assert.equal(into.toString(), BODY)
    assert.ok(handle.hits > 0)
  })
}

test('a server that stops in the middle costs the idle deadline, not a worker for ever', async () => {
  await using sim = await startSimHub()
  const file = oneRepo(sim, BODY, true)
  sim.faults.add({ origin: 'cdn', stall: 3 })
  await using it = hubUnderTest(sim.url, { deadlines: { idleMs: SHORT_MS } })

  await assert.rejects(it.hub.fetchSmall(file, Buffer.alloc(SIZE), signal), { code: 'TRANSFER_STALLED' })
})

test('an abort ends it with its reason', async () => {
  await using sim = await startSimHub()
  const file = oneRepo(sim, BODY)
  sim.faults.add({ path: /resolve/, stall: 'before-headers' })
  await using it = hubUnderTest(sim.url)
  const stop = new AbortController()
  const fetching = it.hub.fetchSmall(file, Buffer.alloc(SIZE), stop.signal)
  await sim.whenRequested((request) => request.path.includes('/resolve/'))

  stop.abort()

  await assert.rejects(fetching, { name: 'AbortError' })
})

test('hundreds of files share a few connections', async () => {
  const sockets = new Set<unknown>()
  await using raw = await startRawServer((_, socket) => {
    sockets.add(socket)
    socket.write(reply(200, {}, BODY))
  })
  await using it = hubUnderTest(raw.origin)

  await Promise.all(Array.from({ length: 300 }, () => it.hub.fetchSmall(FILE, Buffer.alloc(SIZE), signal)))

  assert.equal(raw.requests.length, 300)
  assert.ok(sockets.size <= 16, `${sockets.size} connections`)
})
