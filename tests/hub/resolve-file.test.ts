import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubFile, hubUnderTest, readAll } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()
const COMMIT = 'c'.repeat(40)
const SHA = '0123456789abcdef'.repeat(4)
const FILE = hubFile('Qwen/A', COMMIT, 'model.safetensors')

/** Resolves FILE against one answer. */
async function resolveAgainst(status: number, headers: Record<string, string>) {
  await using hub = await startRawServer((_, socket) => socket.end(reply(status, headers)))
  await using it = hubUnderTest(hub.origin)
  return await it.hub.resolveFile(FILE, signal)
}

test('resolveFile names each state of a file it cannot have', async () => {
  await using sim = await startSimHub({ tokens: { hf_user: { user: 'me' } } })
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using anonymous = hubUnderTest(sim.url)
  await using known = hubUnderTest(sim.url, { token: 'hf_user' })
  const resolve = (name: string, commit: string, path: string, it = anonymous) =>
    it.hub.resolveFile(hubFile(name, commit, path), signal)

  await assert.rejects(resolve('Qwen/A', head, 'b'), { code: 'FILE_UNAVAILABLE' })
  await assert.rejects(resolve('Qwen/A', COMMIT, 'a'), { code: 'SNAPSHOT_UNKNOWN' })
  await assert.rejects(resolve('Qwen/B', head, 'a'), { code: 'REPO_UNAVAILABLE' })
  await assert.rejects(resolve('Qwen/B', head, 'a', known), { code: 'REPO_UNAVAILABLE' })
  sim.world.setGated('Qwen/A', 'auto')
  await assert.rejects(resolve('Qwen/A', head, 'a'), { code: 'REPO_GATED' })
  await assert.rejects(resolve('Qwen/A', head, 'a', known), { code: 'REPO_GATED' })
  sim.world.setDisabled('Qwen/A', 'info-403')
  await assert.rejects(resolve('Qwen/A', head, 'a'), { code: 'REPO_DISABLED' })
})

test('resolveFile reads a bare refusal of a mirror by its status', async () => {
  await assert.rejects(resolveAgainst(404, {}), { code: 'FILE_UNAVAILABLE' })
  await assert.rejects(resolveAgainst(401, {}), { code: 'REPO_UNAVAILABLE' })
  await assert.rejects(resolveAgainst(403, {}), { code: 'HUB_ANSWER_INVALID' })
  await assert.rejects(resolveAgainst(204, {}), { code: 'HUB_ANSWER_INVALID' })
})

test('resolveFile refuses an answer about another commit', async () => {
  for (const commit of ['main', 'd'.repeat(40), 'c'.repeat(39), '../x']) {
    const headers = { location: '/x', 'x-repo-commit': commit, 'x-linked-etag': `"${SHA}"` }
    await assert.rejects(resolveAgainst(302, headers), { code: 'HUB_ANSWER_INVALID' }, commit)
  }
})

test('resolveFile takes only exact content hashes for an ETag', async () => {
  for (const etag of ['W/"abc"', `"${SHA}`, `W/W/"${SHA}"`, '"../../../etc/x"', `"${'*'.repeat(64)}"`]) {
    const resolved = await resolveAgainst(302, { location: '/x', 'x-repo-commit': COMMIT, 'x-linked-etag': etag })
    assert.equal(resolved.etag, undefined, etag)
  }
  const weak = await resolveAgainst(302, { location: '/x', 'x-repo-commit': COMMIT, 'x-linked-etag': `W/"${SHA}"` })
  assert.equal(weak.etag, SHA)
})

test('resolveFile lets an unreadable linked ETag hide the plain one: they are of different things', async () => {
  const headers = { location: '/x', 'x-repo-commit': COMMIT, 'x-linked-etag': 'W/"abc"', etag: `"${SHA}"` }

  assert.equal((await resolveAgainst(302, headers)).etag, undefined)
})

test('resolveFile never takes the length of a redirect for the size of the file', async () => {
  const resolved = await resolveAgainst(302, { location: '/x', 'x-repo-commit': COMMIT, 'content-length': '0' })

  assert.equal(resolved.size, undefined)
  for (const size of ['-1', '1.5', '9007199254740993', '5, 6', 'x']) {
    const headers = { location: '/x', 'x-repo-commit': COMMIT, 'x-linked-size': size }
    await assert.rejects(resolveAgainst(302, headers), { code: 'HUB_ANSWER_INVALID' }, size)
  }
  const headers = { location: '/x', 'x-repo-commit': COMMIT, 'x-linked-size': '0' }
  assert.equal((await resolveAgainst(302, headers)).size, 0)
})

test('resolveFile refuses redirects to other schemes, credentials and nowhere', async () => {
  for (const location of ['file:///etc/passwd', 'ftp://x.test/y', 'https://u:p@cdn.test/x', 'http://', 'http://a b/']) {
    const headers = { location, 'x-repo-commit': COMMIT }
    await assert.rejects(resolveAgainst(302, headers), { code: 'HUB_REDIRECT_REFUSED' }, location)
  }
  await assert.rejects(resolveAgainst(302, { 'x-repo-commit': COMMIT }), { code: 'HUB_REDIRECT_REFUSED' })
})

test('resolveFile ends a redirect loop', async () => {
  await using hub = await startRawServer((request, socket) => {
    socket.write(reply(307, { location: request.path }))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.resolveFile(FILE, signal), { code: 'HUB_REDIRECT_REFUSED' })
  assert.equal(hub.requests.length, 6)
})

test('resolveFile asks for exactly the bytes of the name', async () => {
  await using hub = await startRawServer((_, socket) => socket.write(reply(302, { location: '/x', etag: '"1"' })))
  await using it = hubUnderTest(`${hub.origin}/base`)
  const names: [string, string][] = [
    ['../../etc/passwd', '%2E%2E/%2E%2E/etc/passwd'],
    ['a b#c?d%e', 'a%20b%23c%3Fd%25e'],
    ['\ud800.bin', '%ED%A0%80.bin'],
    ['a\u0000\r\nHost: evil', 'a%00%0D%0AHost%3A%20evil'],
    ['//srv/x', '//srv/x'],
  ]
  for (const [name] of names) await it.hub.resolveFile(hubFile('Qwen/A', COMMIT, name), signal)

  assert.deepEqual(
    hub.requests.map((request) => request.path),
    names.map(([, sent]) => `/base/Qwen/A/resolve/${COMMIT}/${sent}`),
  )
  assert.ok(hub.requests.every((request) => request.headers.get('accept-encoding') === 'identity'))
})

test('resolveFile gives up on a Hub that stays overloaded or limited, in bounded time', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using it = hubUnderTest(sim.url)
  const resolve = async () => it.hub.resolveFile(hubFile('Qwen/A', head, 'a'), signal)

  const limited = sim.faults.add({ tooManyRequests: 'retry-after', retryAfter: '999999999' })
  const startMs = it.clock.now()
  await assert.rejects(resolve(), { code: 'HUB_RATE_LIMITED' })
  assert.ok(it.clock.now() - startMs <= 5 * 300_000)
  assert.equal(limited.hits, 5)
  limited.remove()
  const broken = sim.faults.add({ status: 503 })
  await assert.rejects(resolve(), { code: 'HUB_UNREACHABLE' })
  assert.equal(broken.hits, 5)
})

test('resolveFile waits out a limit however it is told', async () => {
  for (const kind of ['ratelimit', 'retry-after', 'bare'] as const) {
    await using sim = await startSimHub()
    const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
    sim.faults.add({ tooManyRequests: kind, retryAfter: '7', times: 2 })
    await using it = hubUnderTest(sim.url)

    const resolved = await it.hub.resolveFile(hubFile('Qwen/A', head, 'a'), signal)

    assert.equal(resolved.etag?.length, 40)
    assert.ok(
      it.clock.sleeps.some((ms) => ms >= 1000),
      kind,
    )
    assert.ok(it.waits.length > 0, kind)
  }
})

test('resolveFile follows a rename and describes the file under its new name', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'm.safetensors', content: 'weights' }] })
  const { sha256 } = await sim.world.file('Qwen/A', 'm.safetensors')
  sim.world.rename('Qwen/A', 'Other/B')
  await using it = hubUnderTest(sim.url)
  const file = hubFile('Qwen/A', head, 'm.safetensors')

  const resolved = await it.hub.resolveFile(file, signal)

  assert.deepEqual([resolved.etag, resolved.size, resolved.file], [sha256, 7, file])
  await using body = await it.hub.openRange(resolved, 0, 7, signal)
  assert.equal((await readAll(body.chunks())).toString(), 'weights')
})

test('resolveFile takes a direct answer of a mirror', async () => {
  const headers = { 'x-repo-commit': COMMIT, etag: `"${SHA}"`, 'content-length': '7' }
  await using hub = await startRawServer((_, socket) => socket.write(reply(200, headers)))
  await using it = hubUnderTest(hub.origin)

  const resolved = await it.hub.resolveFile(FILE, signal)

  assert.deepEqual(resolved, {
    file: FILE,
    url: `${hub.origin}/Qwen/A/resolve/${COMMIT}/model.safetensors`,
    etag: SHA,
    size: 7,
  })
})
