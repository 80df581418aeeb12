/** Who may see what: every route has a rule, and every rule is kept. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { API_ROUTES, createApi } from '../../src/mirror/api-routes.ts'
import { FILE_ROUTES, fileTargetOf } from '../../src/mirror/file-routes.ts'
import { ACCESS_RULES } from '../../src/mirror/open-snapshot.ts'
import { parseTarget } from '../../src/mirror/request-target.ts'
import { startMirrorOf, type MirrorUnderTest } from './mirror-under-test.ts'

const HUB_TOKEN = 'hf_archiver'
const TOKEN = 'the-mirror-token'
const YAML = `hub: { endpoint: "HUB", token: ${HUB_TOKEN}, confirm_loss: { misses: 3, over: 0s } }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`
const WITH_TOKEN = { headers: { authorization: `Bearer ${TOKEN}` } }

function start(
  t: TestContext,
  options: { token?: string; host?: string } = { token: TOKEN },
): Promise<MirrorUnderTest> {
  const files = [
    { path: 'a.json', content: '{}' },
    { path: 'm.Q4_K_M.gguf', content: 'GGUF' },
  ]
  return startMirrorOf(
    t,
    (world) => {
      world.addRepo('Qwen/Open', { files })
      world.addRepo('Qwen/Gated', { files, gated: 'manual' })
      world.addRepo('Qwen/Private', { files, private: true })
    },
    {
      yaml: YAML,
      hub: { tokens: { [HUB_TOKEN]: { user: 'archiver', grants: ['Qwen/Gated', 'Qwen/Private'] } } },
      ...options,
    },
  )
}

interface Init {
  readonly method: string
  readonly body: string
  readonly headers: Record<string, string>
}

/** One address of every route, for a repository whose gguf has this digest. */
function addresses(repo: string, sha256: string): Record<string, { path: string; init?: Init }> {
  const paths = { method: 'POST', body: 'paths=a.json' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const api = `/api/models/${repo}`
  return {
    'GET /api/whoami-v2': { path: '/api/whoami-v2' },
    'GET list': { path: '/api/models' },
    'GET info': { path: api },
    'GET revision': { path: `${api}/revision/main` },
    'GET tree': { path: `${api}/tree/main` },
    'GET treesize': { path: `${api}/treesize/main/a.json` },
    'POST paths-info': { path: `${api}/paths-info/main`, init: { ...paths, headers: form } },
    'GET commits': { path: `${api}/commits/main` },
    'GET refs': { path: `${api}/refs` },
    'GET auth-check': { path: `${api}/auth-check` },
    'GET xet-read-token': { path: `${api}/xet-read-token/main` },
    'GET manifests': { path: `/v2/${repo}/manifests/Q4_K_M` },
    'file resolve': { path: `/${repo}/resolve/main/a.json` },
    'file raw': { path: `/${repo}/raw/main/a.json` },
    'file resolve-cache': { path: `/api/resolve-cache/models/${repo}/main/a.json` },
    'file blobs': { path: `/v2/${repo}/blobs/sha256:${sha256}` },
  }
}

/** The key of a route in the addresses above. */
function keyOf(method: string, pattern: string): string {
  if (/\{.*\}$/.test(pattern)) return `${method} list`
  if (pattern.endsWith(':name')) return `${method} info`
  const word =
    pattern
      .split('/')
      .filter((part) => /^[a-z][a-z-]+$/.test(part))
      .at(-1) ?? ''
  return pattern === '/api/whoami-v2' ? `${method} ${pattern}` : `${method} ${word}`
}

test('every route has a rule about who may see it, and an address in this test', () => {
  const known = Object.keys(addresses('Qwen/Open', ''))
  const app = createApi({} as never)
  const registered = app.routes.map(({ method, path }) => `${method} ${path}`).sort()
  const declared = API_ROUTES.map(({ method, pattern }) => `${method} ${pattern}`).sort()
  assert.deepEqual(registered, declared, 'nothing is routed that is not in the table')
  const seen = [
    ...API_ROUTES.map(({ method, pattern }) => keyOf(method, pattern)),
    ...FILE_ROUTES.map(({ name }) => `file ${name}`),
  ]
  assert.deepEqual(seen.sort(), known.sort())
  for (const route of [...API_ROUTES, ...FILE_ROUTES]) assert.ok(ACCESS_RULES.includes(route.rule))
  for (const { name } of FILE_ROUTES) {
    const { path } = addresses('Qwen/Open', 'a'.repeat(64))[`file ${name}`]!
    assert.equal(fileTargetOf(parseTarget(path).segments)?.route.name, name)
  }
})

test('what is gated or private is shown only to the mirror’s own token, on every route', async (t) => {
  const under = await start(t)
  const { sha256 } = await under.hub.world.file('Qwen/Open', 'm.Q4_K_M.gguf')
  const rules = new Map<string, string>([
    ...API_ROUTES.map(({ method, pattern, rule }) => [keyOf(method, pattern), rule] as const),
    ...FILE_ROUTES.map(({ name, rule }) => [`file ${name}`, rule] as const),
  ])
  for (const repo of ['Qwen/Open', 'Qwen/Gated', 'Qwen/Private']) {
    for (const [key, { path, init }] of Object.entries(addresses(repo, sha256))) {
      const anonymous = await under.fetch(path, init)
      const known = await under.fetch(path, { ...init, headers: { ...init?.headers, ...WITH_TOKEN.headers } })
      const wrong = await under.fetch(path, { ...init, headers: { ...init?.headers, authorization: 'Bearer wrong' } })
      const rule = rules.get(key)
      if (rule !== 'anyone') assert.equal(known.status, 200, `${key} of ${repo} with the token`)
      const isRefused = repo === 'Qwen/Private' ? key !== 'GET list' : repo === 'Qwen/Gated' && rule === 'files'
      if (rule === 'anyone' || !isRefused) {
        assert.equal(anonymous.status, rule === 'anyone' ? anonymous.status : 200, `${key} of ${repo}`)
      } else {
        const code = repo === 'Qwen/Private' ? 'RepoNotFound' : 'GatedRepo'
        assert.equal(anonymous.headers.get('x-error-code'), code, `${key} of ${repo}`)
        assert.equal(anonymous.status, repo === 'Qwen/Private' ? 404 : 401)
      }
      assert.equal(wrong.status, anonymous.status, `${key} of ${repo}: a wrong token is none`)
    }
  }
})

test('a private repository is in no list, and its answers are those of one that is not there', async (t) => {
  const under = await start(t)
  const names = async (init?: RequestInit) =>
    ((await under.json('/api/models', init)) as { id: string }[]).map(({ id }) => id).sort()
  assert.deepEqual(await names(), ['Qwen/Gated', 'Qwen/Open'])
  assert.deepEqual(await names(WITH_TOKEN), ['Qwen/Gated', 'Qwen/Open', 'Qwen/Private'])
  const hidden = await (await under.fetch('/api/models/Qwen/Private')).text()
  const missing = await (await under.fetch('/api/models/Qwen/Missing')).text()
  assert.equal(hidden.replace('Private', 'X'), missing.replace('Missing', 'X'))
})

test('without a token of its own the mirror never gives out what is gated', async (t) => {
  const under = await start(t, {})
  const response = await under.fetch('/Qwen/Gated/resolve/main/a.json', WITH_TOKEN)
  assert.equal(response.status, 401)
  assert.match(response.headers.get('x-error-message') ?? '', /serve\.token/)
})

test('what becomes gated upstream stays open here: it is served as it was archived', async (t) => {
  const under = await start(t)
  under.hub.world.setGated('Qwen/Open', 'auto')
  await under.sync()
  assert.equal((await under.fetch('/Qwen/Open/resolve/main/a.json')).status, 200)
  const info = (await under.json('/api/models/Qwen/Open')) as {
    gated: unknown
    weightvault: { today: { upstream: string; upstreamGated: unknown } }
  }
  assert.equal(info.gated, false)
  assert.equal(info.weightvault.today.upstreamGated, 'auto')
  assert.equal((await under.fetch('/api/models/Qwen/Open')).headers.get('x-weightvault-upstream'), 'gated')
})

test('on an address that is not loopback nothing is answered without the token', async (t) => {
  const under = await start(t, { token: TOKEN, host: '0.0.0.0' })
  const url = `http://127.0.0.1:${under.mirror.port}`
  for (const { path, init } of Object.values(addresses('Qwen/Open', 'a'.repeat(64)))) {
    const response = await fetch(`${url}${path}`, init)
    assert.equal(response.status, 401, path)
    assert.equal(response.headers.get('x-error-code'), 'TokenNeeded')
  }
  assert.equal((await fetch(`${url}/api/models/Qwen/Open`, WITH_TOKEN)).status, 200)
})
