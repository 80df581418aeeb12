import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/sim-hub/ask.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions } from '../support/sim-hub/types.ts'

async function hubWithClock(options: SimHubOptions = {}): Promise<{ hub: SimHub; clock: { ms: number } }> {
  const clock = { ms: Date.parse('2026-03-01T00:00:20Z') }
  const hub = await startSimHub({
    now: () => clock.ms,
    tokens: { hf_a: { user: 'a' }, hf_b: { user: 'b' } },
    ...options,
  })
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'config.json', content: '{}' },
      { path: 'a.gguf', content: 'a' },
    ],
  })
  return { hub, clock }
}

const remaining = (header: string | undefined) => /^"(\w+)";r=(\d+);t=(\d+)$/.exec(header ?? '')?.slice(1)

test('a spent quota answers 429 with r=0 and the seconds to the next window, and no Retry-After', async () => {
  const { hub, clock } = await hubWithClock({ quotas: { api: 2, resolvers: 1, windowSeconds: 60 } })
  await using _ = hub

  await ask(`${hub.url}/api/models`)
  await ask(`${hub.url}/api/models/Qwen/A`)
  const refused = await ask(`${hub.url}/api/models/Qwen/A`)

  assert.equal(refused.status, 429)
  assert.equal(refused.headers['ratelimit'], '"api";r=0;t=40')
  assert.equal(refused.headers['ratelimit-policy'], '"fixed window";"api";q=2;w=60')
  assert.equal(refused.headers['retry-after'], undefined)
  assert.match(refused.text, /"error"/)
  assert.equal((await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)).status, 302, 'another bucket')
  assert.equal((await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)).status, 429)
  clock.ms += 40_000
  assert.equal((await ask(`${hub.url}/api/models`)).status, 200, 'the next window')
})

test('r counts down to nothing so that a client that reads it never meets a 429', async () => {
  const { hub } = await hubWithClock({ quotas: { api: 5 } })
  await using _ = hub

  for (let left = 4; left >= 0; left--) {
    const answer = await ask(`${hub.url}/api/models`)
    assert.equal(answer.status, 200)
    assert.deepEqual(remaining(answer.headers['ratelimit'])?.slice(0, 2), ['api', String(left)])
  }
})

test('the documented quotas hold by default, by token, and each caller has its own count', async () => {
  const { hub } = await hubWithClock()
  await using _ = hub
  const left = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await ask(hub.url + path, { headers })
    return remaining(answer.headers['ratelimit'])?.slice(0, 2)
  }

  assert.deepEqual(await left('/api/models'), ['api', '499'])
  assert.deepEqual(await left('/api/models', { Authorization: 'Bearer hf_a' }), ['api', '999'])
  assert.deepEqual(await left('/api/models', { Authorization: 'Bearer hf_a' }), ['api', '998'])
  assert.deepEqual(await left('/api/models', { Authorization: 'Bearer hf_b' }), ['api', '999'])
  assert.deepEqual(await left('/Qwen/A/resolve/main/a.gguf'), ['resolvers', '2999'])
  assert.deepEqual(await left('/Qwen/A'), ['pages', '99'])
})

test('errors are charged, the second hop and the CDN are not', async () => {
  const { hub } = await hubWithClock()
  await using _ = hub

  await ask(`${hub.url}/api/models/Qwen/None`)
  const hop = await ask(`${hub.url}/Qwen/A/resolve/main/config.json`)
  await ask(`${hub.url}${hop.headers['location']}`)
  const link = (await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)).headers['location'] ?? ''
  const cdn = await ask(link)

  assert.equal(cdn.headers['ratelimit'], undefined)
  assert.deepEqual(
    hub.requests.map((request) => request.bucket),
    ['api', 'resolvers', undefined, 'resolvers', undefined],
  )
})

test('setQuotas changes the quota at once', async () => {
  const { hub } = await hubWithClock()
  await using _ = hub

  hub.setQuotas({ api: 1 })
  assert.equal((await ask(`${hub.url}/api/models`)).status, 200)
  assert.equal((await ask(`${hub.url}/api/models`)).status, 429)
  hub.setQuotas({})
  assert.equal((await ask(`${hub.url}/api/models`)).status, 200)
})
