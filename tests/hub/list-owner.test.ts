import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimHub } from '../support/sim-hub/types.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubUnderTest } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'

const { signal } = new AbortController()

type Row = Record<string, unknown>

function addRepos(sim: SimHub, count: number): void {
  for (let n = 0; n < count; n++) {
    const name = `Qwen/R${String(n).padStart(3, '0')}`
    sim.world.addRepo(name, { card: { license: 'mit' }, files: [{ path: 'a.txt', content: `${n}` }] })
  }
}

/** Lets a test change the rows of every listing page. */
function changeRows(sim: SimHub, change: (rows: Row[]) => unknown): void {
  sim.faults.add({ path: /^\/api\/models\?/, mutateJson: (json) => change(json as Row[]) })
}

test('listOwner reports a listing whose second page fails as an error, never as its first page', async () => {
  await using sim = await startSimHub({ listPageSizeMax: 4 })
  addRepos(sim, 6)
  sim.faults.add({ path: /^\/api\/models\?/, listErrorOnPage: 2 })
  await using it = hubUnderTest(sim.url)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_UNREACHABLE' })

  assert.equal(sim.requests.length, 6, 'one first page, five tries for the second')
})

test('listOwner refuses a next page on another origin and sends the token nowhere else', async () => {
  await using foreign = await startRawServer((_, socket) => socket.end(reply(200, {}, '[]')))
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(200, { link: `<${foreign.origin}/api/models?cursor=x>; rel="next"` }, '[]'))
  })
  await using it = hubUnderTest(hub.origin, { token: 'hf_canary' })

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_REDIRECT_REFUSED' })

  assert.equal(foreign.requests.length, 0)
})

test('listOwner refuses next pages of other schemes, elsewhere in the Hub, or unreadable', async () => {
  const links: [string, string][] = [
    ['<file:///etc/passwd>; rel="next"', 'HUB_REDIRECT_REFUSED'],
    ['<//evil.test/api/models?cursor=x>; rel="next"', 'HUB_REDIRECT_REFUSED'],
    ['</api/whoami-v2>; rel="next"', 'HUB_REDIRECT_REFUSED'],
    ['</logout>; rel="next"', 'HUB_REDIRECT_REFUSED'],
    ['/api/models?cursor=x; rel="next"', 'HUB_ANSWER_INVALID'],
    ['</api/models?a>; rel="next", </api/models?b>; rel="next"', 'HUB_ANSWER_INVALID'],
  ]
  for (const [link, code] of links) {
    await using hub = await startRawServer((_, socket) => socket.write(reply(200, { link }, '[]')))
    await using it = hubUnderTest(hub.origin)

    await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code }, link)
    assert.equal(hub.requests.length, 1, link)
  }
})

test('listOwner follows next pages however they are written', async () => {
  const row = { id: 'Qwen/A', _id: 'a'.repeat(24) }
  for (const link of ['</api/models?page=2>; rel="next"', '<?page=2>;rel=next', '</api/models?page=2>;REL="next"']) {
    await using hub = await startRawServer((request, socket) => {
      const isLast = request.path.includes('page=2')
      socket.write(reply(200, isLast ? {} : { link }, JSON.stringify(isLast ? [row] : [])))
    })
    await using it = hubUnderTest(hub.origin)

    const listing = await it.hub.listOwner('Qwen', 'model', signal)

    assert.equal(listing.repos.length, 1, link)
  }
})

test('listOwner ends a listing without end', async () => {
  let page = 0
  await using hub = await startRawServer((request, socket) => {
    page++
    const next = request.path.includes('loop') ? '/api/models?loop' : `/api/models?page=${page}`
    socket.write(reply(200, { link: `<${next}>; rel="next"` }, '[]'))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'LISTING_INCOMPLETE' })
  assert.equal(page, 50)
})

test('listOwner ends a listing that leads back to a page it has read', async () => {
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(200, { link: '</api/models?cursor=same>; rel="next"' }, '[]'))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'LISTING_INCOMPLETE' })
  assert.equal(hub.requests.length, 2)
})

test('listOwner refuses bad rows by name and keeps the others', async () => {
  await using sim = await startSimHub()
  addRepos(sim, 5)
  changeRows(sim, ([first, second, third, ...rest]) => [
    { ...first, id: 'evil/B' },
    { ...second, sha: 'main' },
    { ...third, lastModified: { toString: 1, valueOf: 1 } },
    null,
    'x',
    ...rest,
  ])
  await using it = hubUnderTest(sim.url)

  const listing = await it.hub.listOwner('Qwen', 'model', signal)

  assert.equal(listing.repos.length, 3)
  assert.equal(listing.refused.length, 4)
  assert.deepEqual(listing.refused.map((row) => row.name).sort(), ['', '', 'Qwen/R001', 'evil/B'])
  assert.ok(listing.refused.every((row) => row.reason !== ''))
})

test('listOwner takes rows that come again unchanged for one, and changed ones for a listing in motion', async () => {
  await using sim = await startSimHub({ listPageSizeMax: 4 })
  addRepos(sim, 7)
  sim.faults.add({ path: /^\/api\/models\?/, doubleRows: 2 })
  await using it = hubUnderTest(sim.url)

  const listing = await it.hub.listOwner('Qwen', 'model', signal)
  assert.equal(listing.repos.length, 7)

  changeRows(sim, ([first, ...rest]) => [first, { ...first, sha: 'f'.repeat(40) }, ...rest])
  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'LISTING_INCOMPLETE' })
})

test('listOwner takes two repositories of one name for a listing in motion', async () => {
  await using sim = await startSimHub()
  addRepos(sim, 2)
  changeRows(sim, ([first]) => [first, { ...first, _id: 'f'.repeat(24), id: 'QWEN/r001' }])
  await using it = hubUnderTest(sim.url)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'LISTING_INCOMPLETE' })
})

test('listOwner refuses answers that are no list of JSON', async () => {
  await using sim = await startSimHub()
  addRepos(sim, 1)
  await using it = hubUnderTest(sim.url)
  const refused = async () => assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_ANSWER_INVALID' })

  const page = sim.faults.add({ nonJson: true })
  await refused()
  page.remove()
  const object = sim.faults.add({ mutateJson: () => ({ error: 'x' }) })
  await refused()
  object.remove()
  const cut = sim.faults.add({ mutateBody: (body) => body.subarray(0, body.length - 1) })
  await refused()
  cut.remove()
  sim.faults.add({ mutateBody: () => Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) })
  await refused()
})

test('listOwner names a bad token as such', async () => {
  await using sim = await startSimHub()
  addRepos(sim, 1)
  await using it = hubUnderTest(sim.url, { token: 'hf_wrong' })

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), (error: Error & { code: string }) => {
    assert.equal(error.code, 'CREDENTIALS_INVALID')
    assert.ok(!error.message.includes('hf_wrong'))
    return true
  })
})

test('listOwner refuses a redirect to another origin', async () => {
  await using other = await startRawServer((_, socket) => socket.write(reply(200, {}, '[]')))
  await using hub = await startRawServer((request, socket) => {
    socket.write(reply(301, { location: `${other.origin}${request.path}` }))
  })
  await using it = hubUnderTest(hub.origin, { token: 'hf_canary' })

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_REDIRECT_REFUSED' })
  assert.equal(other.requests.length, 0)
})

test('listOwner refuses an owner that is no name without asking', async () => {
  await using sim = await startSimHub()
  await using it = hubUnderTest(sim.url)

  for (const owner of ['', '../x', 'a/b', 'a?b', 'x'.repeat(200)]) {
    await assert.rejects(it.hub.listOwner(owner, 'model', signal), { code: 'USAGE' })
  }
  assert.equal(sim.requests.length, 0)
})

test('listOwner ends with the reason of its signal', async () => {
  await using hub = await startRawServer(() => undefined)
  await using it = hubUnderTest(hub.origin)
  const abort = new AbortController()

  const listing = it.hub.listOwner('Qwen', 'model', abort.signal)
  setImmediate(() => abort.abort(new Error('stop now')))

  await assert.rejects(listing, /stop now/)
})

test('listOwner reads every page with all facts, of models and datasets', async () => {
  await using sim = await startSimHub({ listPageSizeMax: 4 })
  addRepos(sim, 10)
  sim.world.addRepo('Qwen/D', { type: 'dataset', gated: 'auto', files: [{ path: 'a.txt', content: 'x' }] })
  await using it = hubUnderTest(`${sim.url}/`)

  const models = await it.hub.listOwner('qwen', 'model', signal)
  const datasets = await it.hub.listOwner('Qwen', 'dataset', signal)

  assert.equal(models.repos.length, 10)
  assert.equal(models.repos.find((row) => row.ref.name === 'Qwen/R003')?.commit, sim.world.repo('Qwen/R003').head)
  assert.deepEqual(models.refused, [])
  assert.deepEqual(
    datasets.repos.map((row) => [row.ref.type, row.ref.name, row.gated]),
    [['dataset', 'Qwen/D', 'auto']],
  )
  assert.equal(it.hub.endpoint, sim.url)
})
