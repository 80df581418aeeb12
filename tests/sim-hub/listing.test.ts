import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, askJson } from '../support/sim-hub/ask.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

interface Row {
  _id: string
  id: string
  [key: string]: unknown
}

async function hubOf(count: number, options: Parameters<typeof startSimHub>[0] = {}): Promise<SimHub> {
  const hub = await startSimHub(options)
  for (let index = 0; index < count; index++) {
    hub.world.addRepo(`Qwen/M${String(index).padStart(2, '0')}`, {
      card: { license: index % 2 === 0 ? 'apache-2.0' : 'other', base_model: ['Qwen/Base'] },
      extra: { likes: index },
      files: [{ path: `m-${index}.gguf`, content: 'x' }],
    })
  }
  return hub
}

async function walk(first: string): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = []
  let pages = 0
  for (let url: string | undefined = first; url !== undefined; pages++) {
    assert.ok(pages < 50, 'the listing does not end')
    const answer = await ask(url)
    assert.equal(answer.status, 200)
    ids.push(...(JSON.parse(answer.text) as Row[]).map((row) => row.id))
    url = /^<(http:\/\/[^>]+)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1]
  }
  return { ids, pages }
}

test('a listing refuses expand beside full, config or cardData, and unknown expand values', async () => {
  await using hub = await hubOf(1)

  for (const query of [
    'expand=sha&full=true',
    'expand[]=sha&config=true',
    'expand=sha&cardData=true',
    'expand=nonsense',
  ]) {
    assert.equal((await ask(`${hub.url}/api/models?${query}`)).status, 400, query)
  }
})

test('a listing without expand has the default keys, and full, config and cardData add theirs', async () => {
  await using hub = await hubOf(1)
  const keys = async (query: string) =>
    Object.keys((await askJson<Row[]>(`${hub.url}/api/models?${query}`))[0] ?? {}).sort()

  const plain = ['_id', 'createdAt', 'downloads', 'id', 'likes', 'modelId', 'private', 'tags', 'trendingScore']
  assert.deepEqual(await keys('author=Qwen'), plain)
  const full = [...plain, 'author', 'disabled', 'gated', 'lastModified', 'sha', 'siblings'].sort()
  assert.deepEqual(await keys('full=true'), full)
  assert.deepEqual(await keys('cardData=true'), [...plain, 'cardData'].sort())
  assert.deepEqual(await keys('expand=sha&expand[]=gated'), ['_id', 'gated', 'id', 'sha'])
})

test('a listing is walked to its end by absolute Link headers with opaque cursors', async () => {
  await using hub = await hubOf(11)

  const { ids, pages } = await walk(`${hub.url}/api/models?author=Qwen&limit=4&sort=createdAt&expand=sha`)

  assert.equal(pages, 3)
  assert.equal(new Set(ids).size, 11)
  assert.equal(ids[0], 'Qwen/M10', 'newest first')
  const { headers } = await ask(`${hub.url}/api/models?author=Qwen&limit=4`)
  assert.match(headers['link'] ?? '', /cursor=[A-Za-z0-9%]+/)
  assert.equal((await walk(`${hub.url}/api/models?limit=11`)).pages, 1, 'a full last page has no Link')
})

test('a listing never gives more rows than the server allows', async () => {
  await using hub = await hubOf(5, { listPageSizeMax: 2 })

  assert.equal((await askJson<Row[]>(`${hub.url}/api/models?limit=500`)).length, 2)
  assert.equal((await askJson<Row[]>(`${hub.url}/api/models`)).length, 2)
})

test('a listing filters by author, search, tags and parameters', async () => {
  await using hub = await hubOf(4)
  hub.world.addRepo('QwenX/M00', { files: [], extra: { num_parameters: 7e9 } })
  const ids = async (query: string) =>
    (await askJson<Row[]>(`${hub.url}/api/models?${query}`)).map((row) => row.id).sort()

  assert.deepEqual(await ids('author=qwenx'), ['QwenX/M00'])
  assert.deepEqual(await ids('author=nobody'), [])
  assert.deepEqual(await ids('search=m00'), ['Qwen/M00', 'QwenX/M00'])
  assert.deepEqual(await ids('filter=license:apache-2.0'), ['Qwen/M00', 'Qwen/M02'])
  assert.deepEqual(await ids('filter=gguf&filter=license:other'), ['Qwen/M01', 'Qwen/M03'])
  assert.equal((await ids('filter=base_model:quantized:Qwen/Base')).length, 4)
  assert.deepEqual(await ids('num_parameters=min:6B,max:128B'), ['QwenX/M00'])
  assert.deepEqual(await ids('sort=likes&limit=1&author=Qwen'), ['Qwen/M03'])
})

test('siblings of a repo carry sizes and ids only when blobs are asked for', async () => {
  await using hub = await hubOf(1)
  const facts = await hub.world.file('Qwen/M00', 'm-0.gguf')
  const siblings = async (query: string) => {
    const info = await askJson<{ siblings: Row[] }>(`${hub.url}/api/models/Qwen/M00${query}`)
    return info.siblings.find((sibling) => sibling['rfilename'] === 'm-0.gguf')
  }

  assert.deepEqual(await siblings(''), { rfilename: 'm-0.gguf' })
  assert.deepEqual(await siblings('/revision/main?blobs=true'), {
    rfilename: 'm-0.gguf',
    size: 1,
    blobId: facts.gitOid,
    lfs: { sha256: facts.sha256, size: 1, pointerSize: 126 },
  })
})

test('overviews count what is public, and can be made to disagree', async () => {
  await using hub = await hubOf(3, { numModelsOverride: { Ghost: 9 } })
  hub.world.addRepo('Qwen/D', { type: 'dataset', files: [] })
  hub.world.addRepo('Qwen/Hidden', { private: true, files: [] })
  hub.world.addOwner('unsloth', 'user')
  const overview = (path: string) => askJson<Record<string, unknown>>(hub.url + path)

  const qwen = await overview('/api/organizations/Qwen/overview')
  assert.deepEqual([qwen['name'], qwen['numModels'], qwen['numDatasets'], qwen['numSpaces']], ['Qwen', 3, 1, 0])
  hub.world.setNumModels('Qwen', 462)
  assert.equal((await overview('/api/organizations/Qwen/overview'))['numModels'], 462)
  assert.equal((await overview('/api/organizations/Ghost/overview'))['numModels'], 9)
  assert.equal((await overview('/api/users/unsloth/overview'))['user'], 'unsloth')
  assert.equal((await ask(`${hub.url}/api/organizations/unsloth/overview`)).status, 404)
  assert.equal((await ask(`${hub.url}/api/users/Qwen/overview`)).status, 404)
})

test('tag vocabulary, unknown routes and what clients probe at start', async () => {
  await using hub = await hubOf(2)

  const tags = await askJson<{ license: { id: string }[] }>(`${hub.url}/api/models-tags-by-type?type=license`)
  assert.deepEqual(tags.license.map((tag) => tag.id).sort(), ['license:apache-2.0', 'license:other'])
  assert.equal((await ask(`${hub.url}/api/agent-harnesses`)).status, 404)
  assert.equal((await ask(`${hub.url}/api/models/Qwen/M00/nonsense`)).status, 404)
  assert.equal((await ask(`${hub.url}/Qwen/M00`)).status, 200)
})
