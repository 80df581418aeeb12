/** Sections "Content", "Repository" and "Licence" of what the simulated Hub must be able to do: one test a switch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, askJson } from '../support/sim-hub/ask.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

interface Info {
  _id: string
  sha: string
  gitalyUid: string
  gated: unknown
  private: boolean
  createdAt: string
  lastModified: string
  tags: string[]
  cardData?: Record<string, unknown>
}

const EXPAND = ['sha', 'gated', 'private', 'createdAt', 'lastModified', 'tags', 'cardData', 'gitalyUid']
const QUERY = EXPAND.map((key) => `expand=${key}`).join('&')

async function hubWithModel(card?: Record<string, unknown>): Promise<SimHub> {
  const hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    card: card ?? { license: 'apache-2.0' },
    files: [
      { path: 'LICENSE', content: 'Apache License\nVersion 2.0\n' },
      { path: 'model.safetensors', content: generated(1, 5000) },
    ],
  })
  return hub
}

function infoOf(hub: SimHub, revision = 'main'): Promise<Info> {
  return askJson<Info>(`${hub.url}/api/models/Qwen/A/revision/${revision}?${QUERY}`)
}

async function oidsOf(hub: SimHub): Promise<Map<string, string>> {
  const rows = await askJson<{ path: string; oid: string }[]>(`${hub.url}/api/models/Qwen/A/tree/main?recursive=true`)
  return new Map(rows.map((row) => [row.path, row.oid]))
}

test('a README-only commit moves sha and lastModified and no other file', async () => {
  await using hub = await hubWithModel()
  const before = await infoOf(hub)
  const oids = await oidsOf(hub)

  const commit = hub.world.commit('Qwen/A', {
    set: [{ path: 'README.md', content: '---\nlicense: apache-2.0\n---\nNew words\n' }],
  })

  const after = await infoOf(hub)
  assert.equal(after.sha, commit)
  assert.notEqual(after.lastModified, before.lastModified)
  assert.deepEqual(after.cardData, { license: 'apache-2.0' })
  const changed = [...(await oidsOf(hub))].filter(([path, oid]) => oids.get(path) !== oid)
  assert.deepEqual(
    changed.map(([path]) => path),
    ['README.md'],
  )
  assert.equal((await infoOf(hub, before.sha)).sha, before.sha, 'the old commit still resolves')
})

test('a weight replaced under the same name has other bytes, oids and hashes, and the old commit keeps the old', async () => {
  await using hub = await hubWithModel()
  const { head } = hub.world.repo('Qwen/A')
  const old = await hub.world.file('Qwen/A', 'model.safetensors')

  hub.world.commit('Qwen/A', { set: [{ path: 'model.safetensors', content: generated(2, 5000) }] })

  const now = await hub.world.file('Qwen/A', 'model.safetensors')
  assert.equal(now.size, old.size)
  assert.notEqual(now.sha256, old.sha256)
  assert.notEqual(now.gitOid, old.gitOid)
  assert.notEqual(now.xetHash, old.xetHash)
  const link = (await ask(`${hub.url}/Qwen/A/resolve/${head}/model.safetensors`)).headers['location'] ?? ''
  assert.ok((await ask(link)).body.equals(Buffer.from(generated(1, 5000).read(0, 5000))))
})

test('a file is renamed by removing and setting it, keeping its hashes', async () => {
  await using hub = await hubWithModel()
  const { content, sha256 } = await hub.world.file('Qwen/A', 'model.safetensors')

  hub.world.commit('Qwen/A', { remove: ['model.safetensors'], set: [{ path: 'sub/m.safetensors', content }] })

  assert.deepEqual(hub.world.repo('Qwen/A').paths, ['LICENSE', 'README.md', 'sub/m.safetensors'])
  assert.equal((await hub.world.file('Qwen/A', 'sub/m.safetensors')).sha256, sha256)
})

test('a deleted repo that comes back has another _id, storage and history', async () => {
  await using hub = await hubWithModel()
  const before = await infoOf(hub)

  hub.world.deleteRepo('Qwen/A')
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A`)).status, 401)
  hub.world.addRepo('Qwen/A', { files: [] })
  const after = await infoOf(hub)
  assert.notEqual(after._id, before._id)
  assert.notEqual(after.gitalyUid, before.gitalyUid)
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A/revision/${before.sha}`)).status, 404)
  hub.world.recreateRepo('Qwen/A', { files: [] })
  assert.notEqual((await infoOf(hub))._id, after._id)
})

test('a rename keeps the _id', async () => {
  await using hub = await hubWithModel()
  const before = await infoOf(hub)

  hub.world.rename('Qwen/A', 'Qwen/B')

  const after = await askJson<Info>(`${hub.url}/api/models/Qwen/B`)
  assert.equal(after._id, before._id)
  assert.equal(after.sha, before.sha)
  assert.equal(hub.world.repo('Qwen/A').id, 'Qwen/B', 'tests may go on using the old name')
})

test('a repo staged in private appears with dates older than its publication, and may go private again', async () => {
  await using hub = await startSimHub()
  const createdAt = '2026-09-14T08:00:00.000Z'
  hub.world.addRepo('Qwen/A', { private: true, createdAt, date: '2026-09-20T09:41:00.000Z', files: [] })
  const listed = async () => (await askJson<unknown[]>(`${hub.url}/api/models?author=Qwen`)).length

  assert.equal(await listed(), 0)
  hub.world.setPrivate('Qwen/A', false)
  assert.equal(await listed(), 1)
  const info = await infoOf(hub)
  assert.deepEqual([info.createdAt, info.lastModified], [createdAt, '2026-09-20T09:41:00.000Z'])
  hub.world.setPrivate('Qwen/A', true)
  assert.equal(await listed(), 0)
})

test('a gate goes from open to auto to manual and open again', async () => {
  await using hub = await hubWithModel()
  const seen: unknown[] = []

  for (const gated of ['auto', 'manual', false] as const) {
    hub.world.setGated('Qwen/A', gated)
    seen.push((await infoOf(hub)).gated, (await ask(`${hub.url}/Qwen/A/raw/main/LICENSE`)).status)
  }
  assert.deepEqual(seen, ['auto', 401, 'manual', 401, false, 200])
})

test('a licence changes by tag, by name only, or goes away', async () => {
  await using hub = await hubWithModel({ license: 'other', license_name: 'qwen', license_link: 'LICENSE' })
  const licenses = async () => {
    const { tags, cardData } = await infoOf(hub)
    return [tags.filter((tag) => tag.startsWith('license:')), cardData?.['license_name']]
  }

  assert.deepEqual(await licenses(), [['license:other'], 'qwen'])
  hub.world.commit('Qwen/A', { card: { license: 'other', license_name: 'Qwen' } })
  assert.deepEqual(await licenses(), [['license:other'], 'Qwen'])
  hub.world.commit('Qwen/A', { card: { license: ['mit', 'apache-2.0'] } })
  assert.deepEqual(await licenses(), [['license:mit', 'license:apache-2.0'], undefined])
  hub.world.commit('Qwen/A', { card: { library_name: 'transformers' } })
  assert.deepEqual(await licenses(), [[], undefined])
  hub.world.commit('Qwen/A', { remove: ['README.md'] })
  assert.equal((await infoOf(hub)).cardData, undefined)
})

test('a licence text changes, differs only in line ends, or is removed', async () => {
  await using hub = await hubWithModel()
  const text = async () => (await ask(`${hub.url}/Qwen/A/raw/main/LICENSE`)).text

  const before = (await oidsOf(hub)).get('LICENSE')
  hub.world.commit('Qwen/A', { set: [{ path: 'LICENSE', content: 'Apache License\r\nVersion 2.0\r\n' }] })
  assert.equal(await text(), 'Apache License\r\nVersion 2.0\r\n')
  assert.notEqual((await oidsOf(hub)).get('LICENSE'), before)
  hub.world.commit('Qwen/A', { set: [{ path: 'LICENSE', content: 'Research only\n' }] })
  assert.equal(await text(), 'Research only\n')
  hub.world.commit('Qwen/A', { remove: ['LICENSE'] })
  assert.equal((await ask(`${hub.url}/Qwen/A/raw/main/LICENSE`)).headers['x-error-code'], 'EntryNotFound')
})

test('the card is the front matter of README.md, whichever of the two a test gives', async () => {
  await using hub = await startSimHub()
  const cardOf = async (id: string) => (await askJson<Info>(`${hub.url}/api/models/${id}`)).cardData

  hub.world.addRepo('Qwen/FromCard', { card: { license: 'mit', tags: ['a'] }, files: [] })
  assert.match(
    (await ask(`${hub.url}/Qwen/FromCard/raw/main/README.md`)).text,
    /^---\nlicense: mit\ntags:\n {2}- a\n---\n/,
  )
  hub.world.addRepo('Qwen/FromReadme', { files: [{ path: 'README.md', content: '---\r\nlicense: mit\r\n---\r\nHi' }] })
  assert.deepEqual(await cardOf('Qwen/FromReadme'), { license: 'mit' })
  for (const [name, content] of Object.entries({
    NoFence: 'Hello',
    Open: '---\nlicense: mit\n',
    Broken: '---\n{[\n---\n',
    List: '---\n- a\n---\n',
    Laughs: `---\na: &a [x,x]\nb: &b [*a,*a]\n${'c: [*b,*b]\n'.repeat(60)}---\n`,
  })) {
    hub.world.addRepo(`Qwen/${name}`, { files: [{ path: 'README.md', content }] })
    assert.equal(await cardOf(`Qwen/${name}`), undefined, name)
  }
})
