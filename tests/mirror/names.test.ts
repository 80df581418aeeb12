/** Names, revisions and lists: what was sealed stays to be had, whatever the Hub does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { World } from '../support/sim-hub/types.ts'
import { startMirrorOf, type MirrorUnderTest } from './mirror-under-test.ts'

const CARD = { license: 'apache-2.0' }

function fill(world: World): void {
  world.addRepo('Qwen/A', { card: CARD, files: [{ path: 'a.txt', content: 'one' }] })
  world.addRepo('Qwen/B', { card: CARD, files: [{ path: 'b.txt', content: 'b' }] })
}

interface Info {
  readonly _id: string
  readonly id: string
  readonly sha: string
  readonly cardData: { readonly license: string }
  readonly siblings: readonly { readonly rfilename: string }[]
  readonly weightvault: { readonly today: { readonly upstream: string; readonly upstreamLicense: unknown } }
}

const info = async (under: MirrorUnderTest, path = '') => (await under.json(`/api/models/Qwen/A${path}`)) as Info

/** Follows one redirect, as clients do, and gives where it led. */
async function redirected(under: MirrorUnderTest, path: string): Promise<string> {
  const response = await under.fetch(path)
  assert.equal(response.status, 307, path)
  const location = response.headers.get('location') ?? ''
  assert.ok(location.startsWith('/'), 'relative: a client keeps its token with it')
  assert.equal((await under.fetch(location)).status, 200, location)
  return location
}

test('main is the newest sealed head, and every sealed commit stays to be had by its id', async (t) => {
  const under = await startMirrorOf(t, fill)
  const first = under.hub.world.repo('Qwen/A').head
  const second = under.hub.world.commit('Qwen/A', {
    set: [{ path: 'a.txt', content: 'two' }],
    card: { license: 'other', license_name: 'qwen' },
  })
  assert.equal((await info(under)).sha, first, 'not sealed yet')
  await under.sync()
  assert.equal((await info(under)).sha, second)
  assert.equal((await info(under, `/revision/${first}`)).cardData.license, 'apache-2.0')
  for (const [revision, content, commit] of [
    ['main', 'two', second],
    ['HEAD', 'two', second],
    ['refs%2Fheads%2Fmain', 'two', second],
    ['refs/heads/main', 'two', second],
    [first, 'one', first],
    [first.slice(0, 10), 'one', first],
  ] as const) {
    const response = await under.fetch(`/Qwen/A/resolve/${revision}/a.txt`)
    assert.equal(await response.text(), content, revision)
    assert.equal(response.headers.get('x-repo-commit'), commit)
  }
  for (const revision of ['v1', 'f'.repeat(40), 'refs%2Fpr%2F1', 'abc', '...', '%00']) {
    const response = await under.fetch(`/Qwen/A/resolve/${revision}/a.txt`)
    assert.equal(response.status, 404, revision)
    assert.equal(response.headers.get('x-error-code'), 'RevisionNotFound')
    assert.match(response.headers.get('x-error-message') ?? '', /^Invalid rev id: /)
  }
})

test('a commit that is listed and not sealed yet is not there, and main is still the one before', async (t) => {
  const under = await startMirrorOf(t, fill)
  const first = under.hub.world.repo('Qwen/A').head
  const second = under.hub.world.commit('Qwen/A', { set: [{ path: 'a.txt', content: 'two' }] })
  await under.vault.sync({ checkOnly: true })
  under.notice()
  assert.equal(
    (await under.vault.archive.catalog.reposNamed({ type: 'model', name: 'Qwen/A' as never }))[0]?.head,
    second,
  )
  assert.equal((await info(under)).sha, first)
  const pinned = await under.fetch(`/Qwen/A/resolve/${second}/a.txt`)
  assert.equal(pinned.headers.get('x-error-code'), 'RevisionNotFound')
  const list = (await under.json('/api/models?full=true&search=Qwen/A')) as Info[]
  assert.deepEqual(
    list.map(({ sha }) => sha),
    [first],
  )
})

test('branches and tags are there as far as they lead to a sealed commit', async (t) => {
  const under = await startMirrorOf(t, fill)
  const first = under.hub.world.repo('Qwen/A').head
  under.hub.world.setTag('Qwen/A', 'v1.0', first)
  under.hub.world.commit('Qwen/A', { branch: 'dev', set: [{ path: 'a.txt', content: 'dev' }] })
  const second = under.hub.world.commit('Qwen/A', { set: [{ path: 'a.txt', content: 'two' }] })
  await under.sync()
  for (const revision of ['v1.0', 'refs/tags/v1.0', 'refs%2Ftags%2Fv1.0']) {
    assert.equal(await (await under.fetch(`/Qwen/A/resolve/${revision}/a.txt`)).text(), 'one', revision)
  }
  for (const revision of ['dev', 'refs/heads/v1.0']) {
    assert.equal(
      (await under.fetch(`/Qwen/A/resolve/${revision}/a.txt`)).headers.get('x-error-code'),
      'RevisionNotFound',
    )
  }
  const refs = (await under.json('/api/models/Qwen/A/refs')) as Record<string, unknown>
  assert.deepEqual(refs['branches'], [{ name: 'main', ref: 'refs/heads/main', targetCommit: second }])
  assert.deepEqual(refs['tags'], [{ name: 'v1.0', ref: 'refs/tags/v1.0', targetCommit: first }])
})

test('what the Hub squashes, relicenses or deletes is served as it was, with today’s state apart', async (t) => {
  const under = await startMirrorOf(t, fill)
  const first = under.hub.world.repo('Qwen/A').head
  under.hub.world.superSquash('Qwen/A')
  await under.sync()
  assert.equal((await info(under, `/revision/${first}`)).sha, first)
  under.hub.world.deleteRepo('Qwen/A')
  for (let poll = 0; poll < 4; poll++) await under.sync()
  const now = await info(under)
  assert.equal(now.weightvault.today.upstream, 'unavailable')
  const response = await under.fetch(`/Qwen/A/resolve/${first}/a.txt`)
  assert.equal(await response.text(), 'one')
  assert.equal(response.headers.get('x-weightvault-upstream'), 'unavailable')
})

test('other letter case and old names lead to the present one', async (t) => {
  const under = await startMirrorOf(t, fill)
  const { head } = under.hub.world.repo('Qwen/A')
  assert.equal(await redirected(under, '/api/models/qwen/a'), '/api/models/Qwen/A')
  assert.equal(
    await redirected(under, '/api/models/QWEN/a/tree/main?recursive=true&expand=false'),
    '/api/models/Qwen/A/tree/main?recursive=true&expand=false',
  )
  assert.equal(
    await redirected(under, '/qwen/A/resolve/main/a.txt?download=true'),
    '/Qwen/A/resolve/main/a.txt?download=true',
  )
  under.hub.world.rename('Qwen/A', 'Qwen/A-Instruct')
  await under.sync()
  assert.equal(await redirected(under, `/Qwen/A/resolve/${head}/a.txt`), `/Qwen/A-Instruct/resolve/${head}/a.txt`)
  assert.equal(await redirected(under, '/api/models/Qwen/A'), '/api/models/Qwen/A-Instruct')
  assert.equal(
    await redirected(under, `/api/resolve-cache/models/Qwen/A/${head}/a.txt`),
    `/api/resolve-cache/models/Qwen/A-Instruct/${head}/a.txt`,
  )
})

test('nobody takes the place of an archived repository by taking its name; both keep their commits', async (t) => {
  const under = await startMirrorOf(t, fill)
  const old = under.hub.world.repo('Qwen/A').head
  const fresh = under.hub.world.recreateRepo('Qwen/A', { files: [{ path: 'a.txt', content: 'other people' }] })
  await under.sync()
  assert.equal((await info(under)).sha, old)
  assert.equal((await info(under)).weightvault.today.upstream, 'recreated')
  for (const [revision, content] of [
    ['main', 'one'],
    [old, 'one'],
    [fresh, 'other people'],
  ]) {
    assert.equal(await (await under.fetch(`/Qwen/A/resolve/${revision}/a.txt`)).text(), content)
  }
  const list = (await under.json('/api/models?author=Qwen')) as { id: string; sha: string }[]
  assert.deepEqual(list.map(({ id }) => id).sort(), ['Qwen/A', 'Qwen/B'])
})

test('a name that was given up and taken by another repository leads to neither by chance', async (t) => {
  const under = await startMirrorOf(t, fill)
  const old = under.hub.world.repo('Qwen/A').head
  under.hub.world.rename('Qwen/A', 'Qwen/C')
  await under.sync()
  const fresh = under.hub.world.addRepo('Qwen/A', { files: [{ path: 'a.txt', content: 'other people' }] })
  await under.sync()
  for (const [path, content] of [
    [`/Qwen/A/resolve/${old}/a.txt`, 'one'],
    [`/Qwen/A/resolve/${fresh}/a.txt`, 'other people'],
    [`/Qwen/C/resolve/main/a.txt`, 'one'],
  ] as const) {
    assert.equal(await (await under.fetch(path)).text(), content, path)
  }
})

test('lists come in pages whose links are on our own origin', async (t) => {
  const under = await startMirrorOf(t, (world) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      const files = [{ path: 'README.md', content: '# x' }]
      world.addRepo(`Qwen/${name}`, { files, tags: name < 'd' ? ['gguf'] : [] })
    }
  })
  const seen: string[] = []
  let next: string | undefined = `${under.url}/api/models?author=Qwen&limit=2&sort=id`
  while (next !== undefined) {
    const response: Response = await fetch(next)
    seen.push(...((await response.json()) as { id: string }[]).map(({ id }) => id))
    const link = response.headers.get('link')
    next = link === null ? undefined : /^<(https?:\/\/[^>]+)>; rel="next"$/.exec(link)?.[1]
    if (next !== undefined) assert.ok(next.startsWith(`${under.url}/api/models?`), next)
  }
  assert.deepEqual(seen, ['Qwen/a', 'Qwen/b', 'Qwen/c', 'Qwen/d', 'Qwen/e'])
  const ids = async (query: string) =>
    ((await under.json(`/api/models?sort=id&${query}`)) as { id: string }[]).map(({ id }) => id)
  assert.deepEqual(await ids('filter=gguf'), ['Qwen/a', 'Qwen/b', 'Qwen/c'])
  assert.deepEqual(await ids('search=WEN/d'), ['Qwen/d'])
  assert.deepEqual(await ids('author=qwen&limit=1'), ['Qwen/a'])
  assert.deepEqual(await ids('cursor=bm9uc2Vuc2U'), [], 'a cursor of nothing ends the list')
  const [full] = (await under.json('/api/models?full=true&sort=id')) as [Info]
  assert.ok(full.siblings.some(({ rfilename }) => rfilename === 'README.md'))
  const expanded = (await under.json('/api/models?expand[]=sha&sort=id')) as Record<string, unknown>[]
  assert.deepEqual(Object.keys(expanded[0]!).sort(), ['_id', 'id', 'sha'])
})

test('a tree comes in one page unless a limit is asked for; a folder that is not there is no entry', async (t) => {
  const files = Array.from({ length: 1100 }, (_none, at) => ({
    path: `f/${String(at).padStart(4, '0')}`,
    content: '1',
  }))
  const under = await startMirrorOf(t, (world) => world.addRepo('Qwen/A', { files }))
  const all = (await under.json('/api/models/Qwen/A/tree/main?recursive=true')) as { type: string; path: string }[]
  assert.equal(all.length, 1101)
  assert.equal(all[0]?.path, 'f')
  const part = await under.fetch('/api/models/Qwen/A/tree/main/f?limit=600')
  assert.equal(((await part.json()) as unknown[]).length, 600)
  const next = /<([^>]+)>/.exec(part.headers.get('link') ?? '')?.[1]
  assert.equal(((await (await fetch(next!)).json()) as unknown[]).length, 500)
  const missing = await under.fetch(
    '/api/models/Qwen/A/tree/main/additional_chat_templates?recursive=false&expand=false',
  )
  assert.equal(missing.status, 404)
  assert.equal(missing.headers.get('x-error-code'), 'EntryNotFound')
})

test('an answer has not changed until the archive has', async (t) => {
  const under = await startMirrorOf(t, fill)
  const { headers } = await under.fetch('/api/models/Qwen/A')
  const etag = headers.get('etag') ?? ''
  const again = () => under.fetch('/api/models/Qwen/A', { headers: { 'if-none-match': etag } })
  assert.equal((await again()).status, 304)
  under.hub.world.commit('Qwen/A', { set: [{ path: 'a.txt', content: 'two' }] })
  await under.sync()
  assert.equal((await again()).status, 200)
})
