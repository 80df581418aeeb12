import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { parseSafetensorsMetadata } from '@huggingface/hub'
import type { Content } from '../support/content/content.ts'
import { literal } from '../support/content/generated.ts'
import { safetensors, safetensorsFiles, safetensorsShards, tensorBytes } from '../support/content/safetensors.ts'
import type { NamedContent, Tensor } from '../support/content/safetensors.ts'

/** What the hub client counts; it takes the single number `scale` for none. */
const COUNTED = { BF16: 100 * 64 + 2 * 64 * 33, F32: 3, U8: 5, F16: 0 }

const TENSORS: Tensor[] = [
  { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [100, 64] },
  { name: 'model.layers.0.mlp.down_proj.weight', dtype: 'BF16', shape: [64, 33] },
  { name: 'model.layers.0.self_attn.q_norm.weight', dtype: 'F32', shape: [3] },
  { name: 'model.layers.1.mlp.down_proj.weight', dtype: 'BF16', shape: [64, 33] },
  { name: '7', dtype: 'U8', shape: [5] },
  { name: 'scale', dtype: 'F32', shape: [] },
  { name: 'empty', dtype: 'F16', shape: [0, 4] },
]

/** The smallest server that the hub client accepts for `model/resolve` and `raw` of one repo. */
async function serve(files: readonly NamedContent[]) {
  const byPath = new Map(files.map(({ path, content }) => [path, content]))
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? '').replace(/^\/Qwen\/Test\/(resolve|raw)\/main\//, ''))
    const content = byPath.get(path)
    if (!content) {
      response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
      return
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const start = Number(range?.[1] ?? 0)
    const end = Math.min(Number(range?.[2] || content.size - 1), content.size - 1)
    const headers = { etag: '"x"', 'content-range': `bytes ${start}-${end}/${content.size}` }
    response.writeHead(range ? 206 : 200, { ...headers, 'content-length': end - start + 1 })
    response.end(request.method === 'HEAD' ? undefined : content.read(start, end - start + 1))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    hubUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The header and the position of the data, read by hand as the format describes. */
function header(content: Content) {
  const length = Number(Buffer.from(content.read(0, 8)).readBigUInt64LE())
  return { text: Buffer.from(content.read(8, length)).toString(), dataStart: 8 + length }
}

test('safetensors refuses two tensors of one name, shards refuse more files than tensors', () => {
  const [first] = TENSORS
  assert.ok(first)
  assert.throws(() => safetensors({ tensors: [first, first], seed: 1 }), /two tensors are named/)
  assert.throws(() => safetensorsShards({ tensors: TENSORS, shards: 8, seed: 1 }), /do not fill 8 shards/)
  assert.throws(() => safetensorsShards({ tensors: TENSORS, shards: 0, seed: 1 }), /do not fill 0 shards/)
})

test('safetensorsFiles refuses one tensor in two shards', () => {
  const shards = ['a.safetensors', 'b.safetensors'].map((path) => ({ path, tensors: TENSORS.slice(0, 1) }))

  assert.throws(() => safetensorsFiles({ shards, indexPath: 'index.json', seed: 1 }), /two shards hold model\.embed/)
})

test('safetensors writes an aligned header whose offsets cover the file without gaps', () => {
  const content = safetensors({ tensors: TENSORS, metadata: { total_parameters: '1' }, seed: 1 })

  const { text, dataStart } = header(content)
  assert.equal(dataStart % 8, 0)
  const offsets = [...text.matchAll(/"data_offsets":\[(\d+),(\d+)\]/g)].map((match) => [
    Number(match[1]),
    Number(match[2]),
  ])
  let end = 0
  for (const [index, tensor] of TENSORS.entries()) {
    assert.deepEqual(offsets[index], [end, end + tensorBytes(tensor)])
    end += tensorBytes(tensor)
  }
  assert.equal(content.size, dataStart + end)
  assert.ok(text.startsWith('{"__metadata__":{"format":"pt","total_parameters":"1"}'))
})

test('safetensors is read by another implementation', async () => {
  const content = safetensors({ tensors: TENSORS, seed: 1 })
  await using server = await serve([{ path: 'model.safetensors', content }])

  const read = await parseSafetensorsMetadata({
    repo: 'Qwen/Test',
    hubUrl: server.hubUrl,
    computeParametersCount: true,
  })

  assert.ok(!read.sharded)
  assert.deepEqual(read.header['model.embed_tokens.weight'], {
    dtype: 'BF16',
    shape: [100, 64],
    data_offsets: [0, 12_800],
  })
  assert.deepEqual(read.parameterCount, COUNTED)
})

for (const naming of ['model-', 'model.safetensors-'] as const) {
  test(`safetensorsShards named ${naming}NNNNN is read as one model by another implementation`, async () => {
    const files = safetensorsShards({ tensors: TENSORS, shards: 3, naming, seed: 's' })
    await using server = await serve([...files, { path: 'config.json', content: literal('{}') }])

    const read = await parseSafetensorsMetadata({
      repo: 'Qwen/Test',
      hubUrl: server.hubUrl,
      computeParametersCount: true,
    })

    assert.ok(read.sharded)
    assert.deepEqual(
      Object.keys(read.headers).sort(),
      files.slice(0, 3).map((file) => file.path),
    )
    assert.deepEqual(
      files.map((file) => file.path),
      [1, 2, 3].map((n) => `${naming}0000${n}-of-00003.safetensors`).concat('model.safetensors.index.json'),
    )
    const names = Object.values(read.headers).flatMap((shard) => Object.keys(shard))
    assert.deepEqual(names.filter((name) => name !== '__metadata__').sort(), TENSORS.map(({ name }) => name).sort())
    for (const [name, path] of Object.entries(read.index.weight_map ?? {})) assert.ok(read.headers[path]?.[name])
    assert.deepEqual(read.parameterCount, COUNTED)
  })
}

test('safetensorsShards fills every shard, also one tensor each', () => {
  for (const shards of [1, 2, 5, 7]) {
    const files = safetensorsShards({ tensors: TENSORS, shards, seed: 's' })

    assert.equal(files.length, shards + 1)
    for (const file of files.slice(0, shards)) assert.match(header(file.content).text, /"dtype"/)
  }
})
