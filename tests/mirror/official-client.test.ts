/** The official JavaScript client against the mirror, with the Hub stopped: every function that reads. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  checkRepoAccess,
  countCommits,
  datasetInfo,
  downloadFile,
  downloadFileToCacheDir,
  fileDownloadInfo,
  fileExists,
  HubApiError,
  listCommits,
  listDatasets,
  listFiles,
  listModels,
  modelInfo,
  parseSafetensorsMetadata,
  pathsInfo,
  repoExists,
  snapshotDownload,
} from '@huggingface/hub'
import { generated } from '../support/sim-hub/generated.ts'
import type { World } from '../support/sim-hub/types.ts'
import { startMirrorOf, temporaryFolder } from './mirror-under-test.ts'

const BIG = generated('big', 3 * 1024 * 1024 + 5)
const CARD = { license: 'apache-2.0', library_name: 'transformers', pipeline_tag: 'text-generation' }
const repo = 'Qwen/Small'
const YAML = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
  - { repo: datasets/Qwen/Data, every: 1s }
`

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

function fill(world: World): void {
  world.addRepo(repo, {
    card: CARD,
    files: [
      { path: 'config.json', content: '{"architectures":["Qwen3_5ForCausalLM"]}' },
      { path: 'model.safetensors', content: safetensors({ a: [4, 8], b: [16] }) },
      { path: 'sub/deep/notes and 100% more.txt', content: 'notes' },
      { path: 'empty.txt', content: '' },
    ],
  })
  world.addRepo('Qwen/Data', {
    type: 'dataset',
    card: { license: 'cc0-1.0' },
    files: [{ path: 'd.csv', content: '1\n' }],
  })
}

/** Two archived commits, and then no Hub. */
async function offline(t: TestContext) {
  const under = await startMirrorOf(t, fill, { yaml: YAML })
  const first = under.hub.world.repo(repo).head
  under.hub.world.commit(repo, { set: [{ path: 'big.gguf', content: BIG }], card: { ...CARD, license: 'mit' } })
  await under.sync()
  const head = under.hub.world.repo(repo).head
  const facts = await under.hub.world.file(repo, 'big.gguf')
  await under.hub[Symbol.asyncDispose]()
  return { under, hubUrl: under.url, first, head, facts }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

test('listModels, modelInfo and listDatasets show what is archived, as it was archived', async (t) => {
  const { hubUrl, first, head } = await offline(t)
  const [model] = await all(
    listModels({ hubUrl, search: { owner: 'Qwen' }, additionalFields: ['sha', 'cardData', 'filePaths'] }),
  )
  assert.equal(model?.name, repo)
  assert.equal(model?.sha, head)
  assert.equal(model?.cardData?.license, 'mit')
  assert.ok(model?.filePaths?.includes('big.gguf'))
  assert.deepEqual(await all(listModels({ hubUrl, search: { owner: 'nobody' } })), [])
  assert.equal((await all(listModels({ hubUrl, search: { task: 'text-generation', query: 'small' } }))).length, 1)

  const additionalFields = ['sha', 'cardData', 'tags'] as const
  const now = await modelInfo({ hubUrl, name: repo, additionalFields: [...additionalFields] })
  assert.equal(now.sha, head)
  const before = await modelInfo({ hubUrl, name: repo, revision: first, additionalFields: [...additionalFields] })
  assert.equal(before.sha, first)
  assert.equal(before.cardData?.license, 'apache-2.0')
  const [dataset] = await all(listDatasets({ hubUrl, search: { owner: 'Qwen' } }))
  assert.equal(dataset?.name, 'Qwen/Data')
  assert.equal((await datasetInfo({ hubUrl, name: 'Qwen/Data' })).name, 'Qwen/Data')
})

test('repoExists, fileExists and checkRepoAccess answer yes and no', async (t) => {
  const { hubUrl } = await offline(t)
  assert.equal(await repoExists({ hubUrl, repo }), true)
  assert.equal(await repoExists({ hubUrl, repo: 'Qwen/None' }), false)
  assert.equal(await fileExists({ hubUrl, repo, path: 'config.json' }), true)
  assert.equal(await fileExists({ hubUrl, repo, path: 'none.json' }), false)
  await checkRepoAccess({ hubUrl, repo })
  await assert.rejects(
    modelInfo({ hubUrl, name: 'Qwen/None' }),
    (error) => error instanceof HubApiError && error.statusCode === 404,
  )
})

test('listFiles, pathsInfo and the commits agree with the archive', async (t) => {
  const { hubUrl, first, head, facts } = await offline(t)
  const files = await all(listFiles({ hubUrl, repo, recursive: true, expand: true }))
  assert.deepEqual(
    files.filter((file) => file.type === 'directory').map((file) => file.path),
    ['sub', 'sub/deep'],
  )
  const big = files.find((file) => file.path === 'big.gguf')
  assert.deepEqual(big?.lfs, { oid: facts.sha256, size: facts.size, pointerSize: 132 })
  assert.equal(big?.oid, facts.gitOid)
  assert.equal(big !== undefined && 'xetHash' in big, false)
  assert.deepEqual(
    (await all(listFiles({ hubUrl, repo, path: 'sub' }))).map((file) => file.path),
    ['sub/deep'],
  )
  const infos = await pathsInfo({ hubUrl, repo, paths: ['config.json', 'sub', 'missing'], expand: false })
  assert.deepEqual(
    infos.map((info) => [info.path, info.type]),
    [
      ['config.json', 'file'],
      ['sub', 'directory'],
    ],
  )
  assert.deepEqual(
    (await all(listCommits({ hubUrl, repo }))).map((commit) => commit.oid),
    [head, first],
  )
  assert.equal(await countCommits({ hubUrl, repo, revision: 'main' }), 2)
})

test('fileDownloadInfo and downloadFile give the bytes, empty files and odd names too', async (t) => {
  const { hubUrl, first, facts } = await offline(t)
  const info = await fileDownloadInfo({ hubUrl, repo, path: 'big.gguf' })
  assert.equal(info?.size, facts.size)
  assert.equal(info?.etag, `"${facts.sha256}"`)
  assert.equal(info?.xet, undefined)
  const blob = await downloadFile({ hubUrl, repo, path: 'big.gguf' })
  const sha256 = createHash('sha256')
    .update(Buffer.from(await blob!.arrayBuffer()))
    .digest('hex')
  assert.equal(sha256, facts.sha256)
  assert.equal(await (await downloadFile({ hubUrl, repo, path: 'sub/deep/notes and 100% more.txt' }))!.text(), 'notes')
  assert.equal((await downloadFile({ hubUrl, repo, path: 'empty.txt' }))!.size, 0)
  assert.equal(await downloadFile({ hubUrl, repo, path: 'big.gguf', revision: first }), null)
  const csv = await downloadFile({ hubUrl, repo: { type: 'dataset', name: 'Qwen/Data' }, path: 'd.csv' })
  assert.equal(await csv!.text(), '1\n')
  assert.equal((await parseSafetensorsMetadata({ hubUrl, repo })).sharded, false)
})

test('downloadFileToCacheDir and snapshotDownload fill a cache that is byte-identical', async (t) => {
  const { hubUrl, head, facts } = await offline(t)
  const cacheDir = await temporaryFolder(t)
  await downloadFileToCacheDir({ hubUrl, repo, path: 'config.json', cacheDir })
  const folder = await snapshotDownload({ hubUrl, repo, cacheDir })
  assert.ok(folder.endsWith(head))
  assert.equal(await readFile(join(folder, 'config.json'), 'utf8'), '{"architectures":["Qwen3_5ForCausalLM"]}')
  const big = await readFile(join(folder, 'big.gguf'))
  assert.equal(createHash('sha256').update(big).digest('hex'), facts.sha256)
})
