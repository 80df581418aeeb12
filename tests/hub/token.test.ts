import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEndpoint } from '../../src/hub/endpoint.ts'
import { requestHeaders } from '../../src/hub/hub-context.ts'
import { createHubSource } from '../../src/hub/hub-source.ts'
import { readTarget } from '../../src/hub/url-target.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { commitId, hubFile, hubUnderTest, readAll, repoRef } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()
const CANARY = 'hf_canaryCANARYcanary'

test('requestHeaders gives the token to exactly the configured scheme, host and port', () => {
  const context = { endpoint: readEndpoint('https://hub.test'), token: CANARY, userAgent: 'x' }
  const tokenFor = (url: string) => {
    const reading = readTarget(url, undefined)
    if (reading.kind === 'refused') throw new Error(reading.reason)
    return requestHeaders(context, reading.target, {})['authorization']
  }

  for (const url of [
    'http://hub.test/',
    'https://hub.test:8443/',
    'https://hub.test.evil/',
    'https://cdn.hub.test/',
    'https://evil.test/hub.test',
  ]) {
    assert.equal(tokenFor(url), undefined, url)
  }
  assert.equal(tokenFor('https://hub.test:443/x'), `Bearer ${CANARY}`)
})

test('the token reaches the Hub on every request and its CDN on none', async () => {
  await using sim = await startSimHub({ tokens: { [CANARY]: { user: 'me', grants: ['Qwen/A'] } } })
  const head = sim.world.addRepo('Qwen/A', {
    gated: 'manual',
    files: [
      { path: 'm.safetensors', content: 'weights' },
      { path: 'a.txt', content: 'text' },
    ],
  })
  await using it = hubUnderTest(sim.url, { token: CANARY })

  await it.hub.listOwner('Qwen', 'model', signal)
  await it.hub.askRepo(repoRef('Qwen/A'), signal)
  await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal)
  for (const path of ['m.safetensors', 'a.txt']) {
    const resolved = await it.hub.resolveFile(hubFile('Qwen/A', head, path), signal)
    await using body = await it.hub.openRange(resolved, 0, 4, signal)
    await readAll(body.chunks())
  }

  assert.equal(sim.requests.filter((request) => request.origin === 'cdn').length, 1)
  for (const request of sim.requests) {
    const expected = request.origin === 'hub' ? `Bearer ${CANARY}` : undefined
    assert.equal(request.headers['authorization'], expected, request.path)
  }
})

test('the token does not follow a redirect of a download to another host or port', async () => {
  await using foreign = await startRawServer((_, socket) => socket.write(reply(200, {}, 'weights')))
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(302, { location: `${foreign.origin}/bytes`, 'x-linked-size': '7' }))
  })
  await using it = hubUnderTest(hub.origin, { token: CANARY })
  const file = hubFile('Qwen/A', 'c'.repeat(40), 'm.bin')
  const resolved = await it.hub.resolveFile(file, signal)

  for (const url of [resolved.url, `${hub.origin}/again`]) {
    await using body = await it.hub.openRange({ ...resolved, url }, 0, 7, signal)
    assert.equal((await readAll(body.chunks())).toString(), 'weights')
  }

  assert.ok(hub.requests.every((request) => request.headers.get('authorization') === `Bearer ${CANARY}`))
  assert.equal(foreign.requests.length, 2)
  for (const request of foreign.requests) assert.ok(![...request.headers.values()].join().includes(CANARY))
})

test('neither token nor signed link gets into the log or an error', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'm.safetensors', content: 'weights' }] })
  sim.faults.add({ status: 503, headers: { 'X-Error-Message': `go away, Bearer ${CANARY}` } })
  await using it = hubUnderTest(sim.url, { token: CANARY })
  const errors: unknown[] = []
  const keep = (error: unknown) => void errors.push(error)

  await it.hub.listOwner('Qwen', 'model', signal).catch(keep)
  sim.faults.clear()
  sim.faults.add({ status: 403, headers: { 'X-Error-Message': `bad token ${CANARY}` } })
  await it.hub.readTree(repoRef('Qwen/A'), commitId(head), signal).catch(keep)
  sim.faults.clear()
  const url = `${sim.cdnUrl}/x?Signature=signedsignedsigned`
  const resolved = { file: hubFile('Qwen/A', head, 'm.safetensors'), url, etag: undefined, size: 7 }
  await it.hub.openRange(resolved, 0, 7, signal).catch(keep)
  await it.hub
    .openRange({ ...resolved, url: 'http://127.0.0.1:9/?Signature=signedsignedsigned' }, 0, 7, signal)
    .catch(keep)

  assert.equal(errors.length, 4)
  for (let error of errors) {
    for (; error instanceof Error; error = error.cause) {
      const text = JSON.stringify([error.message, error, error.stack])
      assert.ok(!/canaryCANARY|signedsigned/.test(text), text)
    }
  }
  assert.ok(it.logged.length > 0)
  assert.ok(!/canaryCANARY|signedsigned/.test(it.logged.join()))
})

test('createHubSource refuses a token that would become another header', () => {
  for (const token of ['hf_x\r\nX-Evil: 1', 'hf_x ', 'hf_\u00e9', 'x'.repeat(2000)]) {
    assert.throws(
      () =>
        createHubSource({
          endpoint: 'https://hub.test',
          token,
          proxy: undefined,
          userAgent: 'x',
          clock: { now: () => 0, sleep: async () => undefined },
          log: { debug() {}, info() {}, warn() {}, error() {} },
        }),
      (error: Error & { code: string }) => error.code === 'CREDENTIALS_INVALID' && !error.message.includes(token),
    )
  }
})
