/** The simulated Hub as a client sees it that nobody here wrote: every read function of @huggingface/hub. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  HubApiError,
  checkRepoAccess,
  countCommits,
  datasetInfo,
  downloadFile,
  downloadFileToCacheDir,
  fileDownloadInfo,
  fileExists,
  listCollections,
  listCommits,
  listDatasets,
  listFiles,
  listModels,
  listSpaces,
  modelInfo,
  parseSafetensorsMetadata,
  pathsInfo,
  repoExists,
  scanCacheDir,
  snapshotDownload,
  spaceInfo,
  whoAmI,
} from '@huggingface/hub'
import { generated } from '../support/sim-hub/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

const TOKEN = 'hf_reader'
const BIG = generated('big', 20 * 1024 * 1024 + 5)
const CARD = {
  license: 'apache-2.0',
  library_name: 'transformers',
  pipeline_tag: 'text-generation',
  base_model: 'Qwen/Base',
}

let hub: SimHub
let hubUrl: string
let heads: string[]

function safetensors(tensors: Record<string, number[]>): Buffer {
  let end = 0
  const header = Object.entries(tensors).map(([name, shape]) => {
    const start = end
    end += shape.reduce((a, b) => a * b, 2)
    return [name, { dtype: 'BF16', shape, data_offsets: [start, end] }]
  })
  const text = Buffer.from(JSON.stringify(Object.fromEntries(header)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, Buffer.alloc(end, 1)])
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

before(async () => {
  hub = await startSimHub({
    tokens: { [TOKEN]: { user: 'reader', grants: ['Qwen/Secret'] } },
    listPageSizeMax: 2,
    treePageSize: 3,
  })
  hubUrl = hub.url
  heads = [
    hub.world.addRepo('Qwen/Small', {
      card: CARD,
      files: [
        { path: 'config.json', content: '{"architectures":["Qwen3_5ForCausalLM"],"model_type":"qwen3_5"}' },
        { path: 'model.safetensors', content: safetensors({ a: [4, 8], b: [16] }) },
        { path: 'sub/deep/notes and # more.txt', content: 'notes' },
        { path: 'empty.txt', content: '' },
      ],
    }),
  ]
  heads.push(hub.world.commit('Qwen/Small', { title: 'Update README.md', card: { ...CARD, license: 'mit' } }))
  heads.push(hub.world.commit('Qwen/Small', { title: 'Add big', set: [{ path: 'big.gguf', content: BIG }] }))
  hub.world.setTag('Qwen/Small', 'v1', heads[0])
  const shard = (index: number) => `model-0000${index}-of-00002.safetensors`
  hub.world.addRepo('Qwen/Sharded', {
    files: [
      { path: shard(1), content: safetensors({ a: [4, 8] }) },
      { path: shard(2), content: safetensors({ b: [2, 3] }) },
      {
        path: 'model.safetensors.index.json',
        content: JSON.stringify({ metadata: { total_size: 76 }, weight_map: { a: shard(1), b: shard(2) } }),
      },
    ],
  })
  hub.world.addRepo('Qwen/Gated', { gated: 'manual', files: [{ path: 'a.gguf', content: 'gated bytes' }] })
  hub.world.addRepo('Qwen/Secret', { private: true, files: [{ path: 'a.txt', content: 'secret' }] })
  hub.world.addRepo('other/Model', { tags: ['gguf'], files: [] })
  hub.world.addRepo('Qwen/Data', {
    type: 'dataset',
    card: { license: 'cc0-1.0' },
    files: [{ path: 'd.csv', content: '1\n' }],
  })
  hub.world.addRepo('Qwen/Demo', { type: 'space', card: { sdk: 'gradio' }, files: [{ path: 'app.py', content: 'x' }] })
  hub.world.addCollection({ owner: 'Qwen', title: 'Qwen 3.8', items: ['Qwen/Small', 'Qwen/Sharded'] })
})
after(() => hub[Symbol.asyncDispose]())

test('functions of a missing, private or gated repo throw HubApiError with the status', async () => {
  const failing = (status: number, run: Promise<unknown>) =>
    assert.rejects(run, (error) => error instanceof HubApiError && error.statusCode === status)

  await failing(401, modelInfo({ hubUrl, name: 'Qwen/None' }))
  await failing(404, modelInfo({ hubUrl, name: 'Qwen/None', accessToken: TOKEN }))
  await failing(401, all(listFiles({ hubUrl, repo: 'Qwen/Secret' })))
  await failing(404, modelInfo({ hubUrl, name: 'Qwen/Small', revision: 'badrev' }))
  await failing(401, downloadFile({ hubUrl, repo: 'Qwen/Gated', path: 'a.gguf' }))
  await failing(403, downloadFile({ hubUrl, repo: 'Qwen/Gated', path: 'a.gguf', accessToken: TOKEN }))
  await failing(401, checkRepoAccess({ hubUrl, repo: 'Qwen/Secret' }))
  await failing(401, whoAmI({ hubUrl, accessToken: 'hf_unknown' }))
})

test('listModels walks every page, filters, sorts and expands', async () => {
  const names = async (params: Parameters<typeof listModels>[0]) => {
    return (await all(listModels({ hubUrl, ...params }))).map((model) => model.name).sort()
  }

  assert.deepEqual(await names({ search: { owner: 'Qwen' } }), ['Qwen/Gated', 'Qwen/Sharded', 'Qwen/Small'])
  assert.equal((await names({ search: { owner: 'Qwen' }, accessToken: TOKEN })).includes('Qwen/Secret'), true)
  assert.deepEqual(await names({ search: { tags: ['gguf'] } }), ['Qwen/Gated', 'Qwen/Small', 'other/Model'])
  assert.deepEqual(await names({ search: { query: 'shard' } }), ['Qwen/Sharded'])
  assert.deepEqual(await names({ search: { task: 'text-generation' } }), ['Qwen/Small'])
  const [first] = await all(
    listModels({
      hubUrl,
      sort: 'lastModified',
      limit: 1,
      additionalFields: ['sha', 'cardData', 'filePaths', 'createdAt'],
    }),
  )
  assert.equal(first?.name, hub.world.repo('other/Model').id)
  const small = (
    await all(listModels({ hubUrl, search: { query: 'Small' }, additionalFields: ['sha', 'cardData', 'filePaths'] }))
  )[0]
  assert.equal(small?.sha, heads[2])
  assert.equal(small?.cardData?.license, 'mit')
  assert.equal(small?.gated, false)
  assert.deepEqual(small?.filePaths, hub.world.repo('Qwen/Small').paths)
})

test('listDatasets, listSpaces, datasetInfo and spaceInfo read the other types', async () => {
  assert.deepEqual(
    (await all(listDatasets({ hubUrl, search: { owner: 'Qwen' } }))).map((one) => one.name),
    ['Qwen/Data'],
  )
  assert.deepEqual(
    (await all(listSpaces({ hubUrl, search: { owner: 'Qwen' } }))).map((one) => one.sdk),
    ['gradio'],
  )
  const data = await datasetInfo({ hubUrl, name: 'Qwen/Data', additionalFields: ['sha', 'cardData', 'tags'] })
  assert.equal(data.sha, hub.world.repo('datasets/Qwen/Data').head)
  assert.ok(data.tags.includes('license:cc0-1.0'))
  const space = await spaceInfo({ hubUrl, name: 'Qwen/Demo', additionalFields: ['sha', 'subdomain'] })
  assert.equal(space.sdk, 'gradio')
  assert.equal(space.subdomain, 'qwen-demo')
})

test('modelInfo answers HEAD, a tag, a short and a full commit id', async () => {
  const fields = ['sha', 'config', 'safetensors', 'tags', 'library_name', 'transformersInfo'] as const
  const info = await modelInfo({ hubUrl, name: 'Qwen/Small', additionalFields: [...fields] })

  assert.equal(info.id, hub.world.repo('Qwen/Small').hubId)
  assert.equal(info.sha, heads[2])
  assert.equal(info.task, 'text-generation')
  assert.deepEqual(info.safetensors, { parameters: { BF16: 48 }, total: 48 })
  assert.equal(info.library_name, 'transformers')
  assert.ok(info.tags.includes('base_model:Qwen/Base'))
  for (const revision of ['v1', heads[0] ?? '', (heads[0] ?? '').slice(0, 7), 'refs/tags/v1']) {
    const old = await modelInfo({ hubUrl, name: 'Qwen/Small', revision, additionalFields: ['sha', 'cardData'] })
    assert.equal(old.sha, heads[0])
    assert.equal(old.cardData?.license, 'apache-2.0')
  }
})

test('listFiles walks the pages of a tree, folders first, and expands commits', async () => {
  const files = await all(listFiles({ hubUrl, repo: 'Qwen/Small', recursive: true, expand: true }))

  assert.deepEqual(
    files.map((file) => [file.type, file.path]),
    [
      ['directory', 'sub'],
      ['directory', 'sub/deep'],
      ...hub.world.repo('Qwen/Small').paths.map((path) => ['file', path]),
    ],
  )
  const lastCommit = (path: string) => files.find((file) => file.path === path)?.lastCommit
  assert.equal(lastCommit('config.json')?.id, heads[0])
  assert.equal(lastCommit('README.md')?.title, 'Update README.md')
  const flat = await all(listFiles({ hubUrl, repo: 'Qwen/Small', path: 'sub' }))
  assert.deepEqual(
    flat.map((file) => [file.type, file.path]),
    [['directory', 'sub/deep']],
  )
  const big = files.find((file) => file.path === 'big.gguf')
  const facts = await hub.world.file('Qwen/Small', 'big.gguf')
  assert.deepEqual(big?.lfs, { oid: facts.sha256, size: facts.size, pointerSize: 133 })
  assert.equal(big?.xetHash, facts.xetHash)
  assert.equal(big?.oid, facts.gitOid)
})

test('listCommits and countCommits follow history, pathsInfo skips unknown paths', async () => {
  const commits = await all(listCommits({ hubUrl, repo: 'Qwen/Small', batchSize: 2 }))

  assert.deepEqual(
    commits.map((commit) => commit.oid),
    [...heads].reverse(),
  )
  assert.equal(commits[1]?.title, 'Update README.md')
  assert.equal(await countCommits({ hubUrl, repo: 'Qwen/Small' }), 3)
  const infos = await pathsInfo({
    hubUrl,
    repo: 'Qwen/Small',
    paths: ['sub', 'big.gguf', 'none', 'config.json'],
    expand: true,
  })
  assert.deepEqual(
    infos.map((info) => [info.type, info.path]),
    [
      ['directory', 'sub'],
      ['file', 'big.gguf'],
      ['file', 'config.json'],
    ],
  )
  assert.equal(infos[1]?.lastCommit.id, heads[2])
})

test('fileExists, repoExists, checkRepoAccess and whoAmI say yes and no', async () => {
  assert.equal(await fileExists({ hubUrl, repo: 'Qwen/Small', path: 'big.gguf' }), true)
  assert.equal(await fileExists({ hubUrl, repo: 'Qwen/Small', path: 'none' }), false)
  assert.equal(await repoExists({ hubUrl, repo: 'Qwen/Small' }), true)
  assert.equal(await repoExists({ hubUrl, repo: 'Qwen/None' }), false)
  assert.equal(await repoExists({ hubUrl, repo: 'Qwen/None', accessToken: TOKEN }), false)
  assert.equal(await repoExists({ hubUrl, repo: { type: 'dataset', name: 'Qwen/Data' } }), true)
  await checkRepoAccess({ hubUrl, repo: 'Qwen/Secret', accessToken: TOKEN })
  const me = await whoAmI({ hubUrl, accessToken: TOKEN })
  assert.equal(me.name, 'reader')
  assert.ok(me.auth.accessToken?.createdAt instanceof Date)
})

test('fileDownloadInfo tells size, etag and Xet facts', async () => {
  const facts = await hub.world.file('Qwen/Small', 'big.gguf')
  const big = await fileDownloadInfo({ hubUrl, repo: 'Qwen/Small', path: 'big.gguf' })
  assert.equal(big?.size, facts.size)
  assert.equal(big?.etag, `"${facts.sha256}"`)
  assert.equal(big?.xet?.hash, facts.xetHash)

  const small = await fileDownloadInfo({ hubUrl, repo: 'Qwen/Small', path: 'config.json', revision: 'refs/heads/main' })
  assert.equal(small?.size, 63)
  assert.equal(small?.etag, `"${(await hub.world.file('Qwen/Small', 'config.json')).gitOid}"`)
  assert.equal(small?.xet, undefined)
  const pointer = await fileDownloadInfo({ hubUrl, repo: 'Qwen/Small', path: 'big.gguf', raw: true })
  assert.equal(pointer?.size, 133)
  assert.equal(await fileDownloadInfo({ hubUrl, repo: 'Qwen/Small', path: 'none' }), null)
})

test('downloadFile gives the bytes of git files, of LFS files by HTTP and by Xet, and of slices', async () => {
  const bytes = Buffer.from(BIG.read(0, BIG.size))
  const config = await downloadFile({ hubUrl, repo: 'Qwen/Small', path: 'config.json' })
  assert.equal((JSON.parse((await config?.text()) ?? '') as { model_type: string }).model_type, 'qwen3_5')
  const odd = await downloadFile({ hubUrl, repo: 'Qwen/Small', path: 'sub/deep/notes%20and%20%23%20more.txt' })
  assert.equal(await odd?.text(), 'notes')

  for (const xet of [false, true]) {
    const big = await downloadFile({ hubUrl, repo: 'Qwen/Small', path: 'big.gguf', xet })
    assert.ok(bytes.equals(Buffer.from((await big?.arrayBuffer()) ?? new ArrayBuffer())), `whole, xet ${xet}`)
    const slice = await big?.slice(17_000_000, 17_000_100).arrayBuffer()
    assert.ok(
      bytes.subarray(17_000_000, 17_000_100).equals(Buffer.from(slice ?? new ArrayBuffer())),
      `slice, xet ${xet}`,
    )
  }
})

test('downloadFileToCacheDir and snapshotDownload fill a cache that scanCacheDir reads', async (t) => {
  t.mock.method(console, 'debug', () => {})
  const cacheDir = await mkdtemp(join(tmpdir(), 'sim-hub-cache-'))
  try {
    const one = await downloadFileToCacheDir({ hubUrl, repo: 'Qwen/Small', path: 'config.json', cacheDir })
    assert.match(await readFile(one, 'utf8'), /qwen3_5/)
    const folder = await snapshotDownload({ hubUrl, repo: 'Qwen/Sharded', cacheDir })
    assert.match(await readFile(join(folder, 'model.safetensors.index.json'), 'utf8'), /weight_map/)
    const dataset = await snapshotDownload({ hubUrl, repo: { type: 'dataset', name: 'Qwen/Data' }, cacheDir })
    assert.equal(await readFile(join(dataset, 'd.csv'), 'utf8'), '1\n')
    const scanned = await scanCacheDir(cacheDir)
    assert.deepEqual(scanned.repos.map((repo) => repo.id.name).sort(), ['Qwen/Data', 'Qwen/Sharded']) // a single file leaves no refs/
  } finally {
    await rm(cacheDir, { recursive: true })
  }
})

test('parseSafetensorsMetadata reads single and sharded weights through ranges', async () => {
  const single = await parseSafetensorsMetadata({ hubUrl, repo: 'Qwen/Small', computeParametersCount: true })
  assert.equal(single.sharded, false)
  assert.deepEqual(single.parameterCount, { BF16: 48 })
  const sharded = await parseSafetensorsMetadata({ hubUrl, repo: 'Qwen/Sharded', computeParametersCount: true })
  assert.equal(sharded.sharded, true)
  assert.deepEqual(sharded.parameterCount, { BF16: 38 })
})

test('listCollections shows what an owner groups', async () => {
  const collections = await all(listCollections({ hubUrl, search: { owner: ['Qwen'] } }))

  assert.deepEqual(
    collections.map((one) => one.title),
    ['Qwen 3.8'],
  )
  assert.deepEqual(
    collections[0]?.items.map((item) => item.type === 'model' && item.id),
    ['Qwen/Small', 'Qwen/Sharded'],
  )
  assert.deepEqual(await all(listCollections({ hubUrl, search: { owner: ['nobody'] } })), [])
})
