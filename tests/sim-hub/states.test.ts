import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, type Answer } from '../support/sim-hub/ask.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

const CALLERS = {
  anonymous: {},
  bad: { Authorization: 'Bearer hf_revoked' },
  user: { Authorization: 'Bearer hf_reader' },
  granted: { Authorization: 'Bearer hf_granted' },
}
type CallerName = keyof typeof CALLERS

async function hubWith(): Promise<SimHub> {
  const hub = await startSimHub({
    tokens: { hf_reader: { user: 'reader' }, hf_granted: { user: 'friend', grants: ['Qwen/A'] } },
  })
  hub.world.addRepo('Qwen/A', {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: '{}' },
      { path: 'model.safetensors', content: 'weights' },
    ],
  })
  return hub
}

const META = [
  '/api/models/Qwen/A',
  '/api/models/Qwen/A/revision/main',
  '/api/models/Qwen/A/tree/main',
  '/api/models/Qwen/A/refs',
]
const FILES = [
  '/Qwen/A/resolve/main/config.json',
  '/Qwen/A/resolve/main/model.safetensors',
  '/Qwen/A/raw/main/README.md',
]

async function expectAll(hub: SimHub, paths: string[], caller: CallerName, check: (answer: Answer) => void) {
  for (const path of paths) {
    for (const method of ['GET', 'HEAD']) check(await ask(hub.url + path, { method, headers: CALLERS[caller] }))
  }
}

function isUnauthorized(message: string) {
  return (answer: Answer) => {
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['x-error-code'], undefined)
    assert.equal(answer.headers['x-error-message'], message)
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="Authentication required", charset="UTF-8"')
    if (answer.text !== '') assert.deepEqual(JSON.parse(answer.text), { error: message })
  }
}

function isRepoNotFound(answer: Answer) {
  assert.equal(answer.status, 404)
  assert.equal(answer.headers['x-error-code'], 'RepoNotFound')
  assert.equal(answer.headers['x-error-message'], 'Repository not found')
}

function isDisabled(answer: Answer) {
  assert.equal(answer.status, 403)
  assert.equal(answer.headers['x-error-code'], undefined)
  assert.equal(answer.headers['x-error-message'], 'Access to this resource is disabled.')
}

const isServed = (answer: Answer) => assert.ok([200, 302, 307].includes(answer.status), String(answer.status))

test('a repo that is missing, deleted, private or hidden is 401 for the anonymous and 404 RepoNotFound with a token', async () => {
  const changes: ((hub: SimHub) => void)[] = [
    (hub) => hub.world.deleteRepo('Qwen/A'),
    (hub) => hub.world.setPrivate('Qwen/A', true),
    (hub) => hub.world.hideFromInfo('Qwen/A', true),
  ]
  for (const change of changes) {
    await using hub = await hubWith()
    change(hub)

    await expectAll(hub, [...META, ...FILES], 'anonymous', isUnauthorized('Invalid username or password.'))
    await expectAll(hub, [...META, ...FILES], 'user', isRepoNotFound)
    await expectAll(hub, [...META, ...FILES], 'bad', isUnauthorized('Invalid credentials in Authorization header'))
  }
})

test('a private repo is whole for a granted token and absent from the lists of all others', async () => {
  await using hub = await hubWith()
  hub.world.setPrivate('Qwen/A', true)

  await expectAll(hub, [...META, ...FILES], 'granted', isServed)
  const rows = async (caller: CallerName) => (await ask(`${hub.url}/api/models`, { headers: CALLERS[caller] })).text
  assert.equal(await rows('anonymous'), '[]')
  assert.equal(await rows('user'), '[]')
  assert.match(await rows('granted'), /"private":true/)
})

test('a bad token is refused everywhere, also where the anonymous may read', async () => {
  await using hub = await hubWith()

  const paths = ['/api/models', '/api/whoami-v2', '/api/organizations/Qwen/overview', ...META, ...FILES]
  await expectAll(hub, paths, 'bad', isUnauthorized('Invalid credentials in Authorization header'))
  await expectAll(hub, [...META, ...FILES], 'user', isServed)
})

test('a gated repo shows its metadata to all and its files to granted tokens', async () => {
  for (const gated of ['auto', 'manual'] as const) {
    await using hub = await hubWith()
    hub.world.setGated('Qwen/A', gated)
    const restricted = 'Access to model Qwen/A is restricted'

    for (const caller of ['anonymous', 'bad'] as const) {
      await expectAll(hub, FILES, caller, (answer) => {
        assert.equal(answer.status, 401)
        assert.equal(answer.headers['x-error-code'], 'GatedRepo')
        assert.equal(
          answer.headers['x-error-message'],
          `${restricted}. You must have access to it and be authenticated to access it. Please log in.`,
        )
      })
    }
    await expectAll(hub, FILES, 'user', (answer) => {
      assert.equal(answer.status, 403)
      assert.equal(answer.headers['x-error-code'], 'GatedRepo')
      assert.match(answer.headers['x-error-message'] ?? '', /you are not in the authorized list/)
    })
    await expectAll(hub, FILES, 'granted', isServed)
    for (const caller of ['anonymous', 'bad', 'user', 'granted'] as const) {
      await expectAll(hub, META, caller, (answer) => assert.equal(answer.status, 200))
    }
    const info = JSON.parse((await ask(`${hub.url}/api/models/Qwen/A`)).text) as Record<string, unknown>
    assert.equal(info['gated'], gated)
    assert.deepEqual(info['cardData'], { license: 'apache-2.0' })
  }
})

test('a disabled repo refuses its files, and its info in one of two shapes', async () => {
  await using hub = await hubWith()
  for (const caller of ['anonymous', 'user', 'granted'] as const) {
    hub.world.setDisabled('Qwen/A', 'info-403')
    await expectAll(hub, [...META, ...FILES], caller, isDisabled)
    hub.world.setDisabled('Qwen/A', 'info-200')
    await expectAll(hub, FILES, caller, isDisabled)
    const info = await ask(`${hub.url}/api/models/Qwen/A`, { headers: CALLERS[caller] })
    assert.equal(info.status, 200)
    assert.match(info.text, /"disabled":true/)
    assert.match(info.text, /license:apache-2.0/)
  }
  hub.world.setDisabled('Qwen/A', false)
  await expectAll(hub, [...META, ...FILES], 'anonymous', isServed)
})

test('a renamed, moved or wrongly cased id is sent on by a relative 307 that keeps the query', async () => {
  await using hub = await hubWith()
  hub.world.rename('Qwen/A', 'QwenLM/B')

  for (const caller of ['anonymous', 'user'] as const) {
    const old = await ask(`${hub.url}/api/models/Qwen/A/tree/main?recursive=true`, { headers: CALLERS[caller] })
    assert.equal(old.status, 307)
    assert.equal(old.headers['location'], '/api/models/QwenLM/B/tree/main?recursive=true')
  }
  const file = await ask(`${hub.url}/Qwen/A/resolve/main/config.json`, { method: 'HEAD' })
  assert.equal(file.headers['location'], '/QwenLM/B/resolve/main/config.json')
  const cased = await ask(`${hub.url}/api/models/qwenlm/b`)
  assert.equal(cased.status, 307)
  assert.equal(cased.headers['location'], '/api/models/QwenLM/B')

  hub.world.rename('QwenLM/B', 'Qwen/C')
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A`)).headers['location'], '/api/models/Qwen/C')
  hub.world.addRepo('Qwen/A', { files: [] })
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A`)).status, 200, 'the old name was taken again')
})

test('a name without an owner leads to its new home', async () => {
  await using hub = await hubWith()
  hub.world.addRepo('gpt2', { files: [{ path: 'a.txt', content: 'a' }] })
  hub.world.rename('gpt2', 'openai-community/gpt2')

  assert.equal((await ask(`${hub.url}/api/models/gpt2`)).headers['location'], '/api/models/openai-community/gpt2')
  assert.equal(
    (await ask(`${hub.url}/gpt2/resolve/main/a.txt`)).headers['location'],
    '/openai-community/gpt2/resolve/main/a.txt',
  )
})

test('an unknown revision and an unknown path have their own codes, and the miss names the commit', async () => {
  await using hub = await hubWith()
  const { head } = hub.world.repo('Qwen/A')

  for (const path of [
    '/api/models/Qwen/A/revision/badrev',
    '/api/models/Qwen/A/tree/badrev',
    '/Qwen/A/resolve/badrev/config.json',
  ]) {
    const answer = await ask(hub.url + path)
    assert.equal(answer.status, 404)
    assert.equal(answer.headers['x-error-code'], 'RevisionNotFound')
    assert.equal(answer.headers['x-error-message'], 'Invalid rev id: badrev')
    assert.deepEqual(JSON.parse(answer.text), { error: 'Invalid rev id: badrev' })
  }
  const chatTemplates = '/api/models/Qwen/A/tree/main/additional_chat_templates?recursive=false&expand=false'
  for (const path of [chatTemplates, '/Qwen/A/resolve/main/none.json', '/Qwen/A/raw/main/none.json']) {
    const answer = await ask(hub.url + path)
    assert.equal(answer.status, 404)
    assert.equal(answer.headers['x-error-code'], 'EntryNotFound')
    assert.equal(answer.headers['x-error-message'], 'Entry not found')
    assert.equal(answer.headers['x-repo-commit'], head)
    assert.equal(answer.text, 'Entry not found')
  }
})

test('auth-check and whoami-v2 tell each caller where it stands', async () => {
  await using hub = await hubWith()
  hub.world.setGated('Qwen/A', 'manual')
  const status = async (path: string, caller: CallerName) => {
    return (await ask(hub.url + path, { headers: CALLERS[caller] })).status
  }

  assert.equal(await status('/api/models/Qwen/A/auth-check', 'anonymous'), 401)
  assert.equal(await status('/api/models/Qwen/A/auth-check', 'user'), 403)
  assert.equal(await status('/api/models/Qwen/A/auth-check', 'granted'), 200)
  assert.equal(await status('/api/models/Qwen/Z/auth-check', 'granted'), 404)
  assert.equal(await status('/api/whoami-v2', 'anonymous'), 401)
  assert.equal(await status('/api/whoami-v2', 'bad'), 401)
  assert.equal(await status('/api/whoami-v2', 'user'), 200)
})
