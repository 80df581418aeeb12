import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubUnderTest, repoRef } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()
const FILES = [{ path: 'a', content: 'x' }]

test('askRepo calls a repository missing with the evidence, whether or not there is a token', async () => {
  await using sim = await startSimHub({ tokens: { hf_user: { user: 'me' } } })
  await using anonymous = hubUnderTest(sim.url)
  await using known = hubUnderTest(sim.url, { token: 'hf_user' })

  const { kind, evidence } = await anonymous.hub.askRepo(repoRef('Qwen/A'), signal)
  const { headers, ...rest } = evidence
  assert.deepEqual(
    { kind, ...rest },
    {
      kind: 'missing',
      status: 401,
      errorCode: undefined,
      errorMessage: 'Invalid username or password.',
      at: new Date(anonymous.clock.now()).toISOString(),
    },
  )
  assert.match(headers['www-authenticate'] ?? '', /^Bearer /)
  const answer = await known.hub.askRepo(repoRef('Qwen/A'), signal)
  assert.equal(answer.kind === 'missing' && answer.evidence.errorCode, 'RepoNotFound')
  // The same question without the token: what everybody else is told.
  const asOthers = await known.hub.askRepo(repoRef('Qwen/A'), signal, { anonymous: true })
  assert.equal(asOthers.evidence.status, 401)
  assert.equal(sim.requests.at(-1)?.headers['authorization'], undefined)
})

test('evidence keeps a few headers, short, printable and without secrets', async () => {
  await using hub = await startRawServer((_, socket) => {
    const headers = {
      'x-error-code': 'RepoNotFound',
      'x-error-message': `not for hf_abcdefgh ${'long '.repeat(200)}`,
      'x-request-id': 'a\tb',
      'set-cookie': 'session=secret',
      'x-other': 'y',
    }
    socket.write(reply(404, headers, ''))
  })
  await using it = hubUnderTest(hub.origin)

  const { evidence } = await it.hub.askRepo(repoRef('Qwen/A'), signal)

  assert.deepEqual(Object.keys(evidence.headers).toSorted(), ['x-error-code', 'x-error-message', 'x-request-id'])
  const text = JSON.stringify(evidence)
  assert.ok(!/hf_abc|secret|\\t/.test(text) && text.length < 1200, text)
})

test('askRepo never takes the answer of something in between for a loss', async () => {
  const answers: [number, Record<string, string>, string][] = [
    [404, { 'content-type': 'text/html' }, '<html>not found</html>'],
    [401, { 'www-authenticate': 'Basic realm="proxy"' }, ''],
    [403, {}, 'blocked by policy'],
    [407, {}, ''],
    [400, {}, '{"error":"bad request"}'],
    [418, {}, ''],
    [204, {}, ''],
  ]
  for (const [status, headers, body] of answers) {
    await using hub = await startRawServer((_, socket) => socket.write(reply(status, headers, body)))
    await using it = hubUnderTest(hub.origin)

    await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_ANSWER_INVALID' }, String(status))
  }
})

test('askRepo takes an answer about another repository for none', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  sim.faults.add({ mutateJson: (json) => ({ ...(json as object), id: 'evil/B' }) })
  await using it = hubUnderTest(sim.url)

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_ANSWER_INVALID' })
})

test('askRepo refuses facts that cannot be believed', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)

  for (const change of [
    { sha: 'main' },
    { sha: 'a'.repeat(39) },
    { sha: '../x' },
    { _id: 'x' },
    { gated: 'perhaps' },
  ]) {
    const fault = sim.faults.add({ mutateJson: (json) => ({ ...(json as object), ...change }) })
    await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_ANSWER_INVALID' })
    fault.remove()
  }
})

test('askRepo names a bad token as such', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url, { token: 'hf_revoked' })

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'CREDENTIALS_INVALID' })
})

test('askRepo knows both shapes of a disabled repository, and 451', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)

  sim.world.setDisabled('Qwen/A', 'info-403')
  assert.equal((await it.hub.askRepo(repoRef('Qwen/A'), signal)).kind, 'disabled')
  sim.world.setDisabled('Qwen/A', 'info-200')
  const answer = await it.hub.askRepo(repoRef('Qwen/A'), signal)
  assert.equal(answer.kind === 'found' && answer.facts.disabled, true)
  sim.faults.add({ status: 451 })
  assert.equal((await it.hub.askRepo(repoRef('Qwen/A'), signal)).kind, 'disabled')
})

test('askRepo refuses redirects that lead to no repository of this Hub', async () => {
  const locations = [
    'https://evil.test/api/models/Qwen/B',
    '//evil.test/api/models/Qwen/B',
    '/Qwen/B',
    '/api/models/Qwen/B/tree/main',
    '/api/models/Qwen/..',
    '/api/models/%2e%2e/B',
    '/api/kernels/Qwen/B',
    'file:///etc/passwd',
    'http://user:pass@127.0.0.1/api/models/Qwen/B',
  ]
  for (const location of locations) {
    await using hub = await startRawServer((_, socket) => socket.write(reply(307, { location })))
    await using it = hubUnderTest(hub.origin, { token: 'hf_canary' })

    await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_REDIRECT_REFUSED' }, location)
    assert.equal(hub.requests.length, 1, location)
  }
})

test('askRepo ends a chain of renames', async () => {
  let hop = 0
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(307, { location: `/api/models/Qwen/N${++hop}` }))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_REDIRECT_REFUSED' })
  assert.equal(hop, 6)
})

test('askRepo tells a move from another spelling of the same name', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)

  const spelled = await it.hub.askRepo(repoRef('qwen/a'), signal)
  assert.equal(spelled.kind === 'found' && spelled.facts.ref.name, 'Qwen/A')

  sim.world.rename('Qwen/A', 'Other/B')
  sim.world.rename('Other/B', 'Other/C')
  const moved = await it.hub.askRepo(repoRef('Qwen/A'), signal)
  assert.deepEqual(moved.kind === 'moved' && moved.to, repoRef('Other/C'))
  assert.equal(moved.evidence.status, 307)
})

test('askRepo gives the facts of a repository, gated or not', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { gated: 'manual', card: { license: 'mit' }, files: FILES })
  sim.world.addRepo('Qwen/D', { type: 'dataset', files: FILES })
  await using it = hubUnderTest(sim.url)

  const answer = await it.hub.askRepo(repoRef('Qwen/A'), signal)
  const dataset = await it.hub.askRepo(repoRef('Qwen/D', 'dataset'), signal)

  assert.equal(answer.kind, 'found')
  if (answer.kind !== 'found') return
  assert.deepEqual(
    [answer.facts.commit, answer.facts.gated, answer.facts.license.license, answer.facts.hubId],
    [head, 'manual', 'mit', sim.world.repo('Qwen/A').hubId],
  )
  assert.equal(dataset.kind === 'found' && dataset.facts.ref.type, 'dataset')
})
