import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseSafetensorsMetadata } from '@huggingface/hub'
import { readSafetensorsHeader } from '../../src/domain/safetensors-header.ts'
import type { HeaderRead } from '../../src/domain/weight-header.ts'
import { safetensors, type Tensor } from '../support/content/safetensors.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'

const TENSORS: Tensor[] = [
  { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [100, 64] },
  { name: 'model.layers.0.self_attn.q_norm.weight', dtype: 'F32', shape: [3] },
  { name: '__proto__', dtype: 'U8', shape: [5] },
  { name: 'scale', dtype: 'F32', shape: [] },
  { name: 'empty', dtype: 'F16', shape: [0, 4] },
]

const CONTENT = safetensors({ tensors: TENSORS, metadata: { note: 'a "quoted: { text' }, seed: 1 })
const FILE = Uint8Array.from(CONTENT.read(0, CONTENT.size))

function withHeader(text: string, dataBytes = 0): HeaderRead {
  const body = new TextEncoder().encode(text)
  const bytes = new Uint8Array(8 + body.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(body.length), true)
  bytes.set(body, 8)
  return readSafetensorsHeader(bytes, bytes.length + dataBytes)
}

function flawsOf(read: HeaderRead): readonly string[] {
  assert.equal(read.kind, 'header')
  return read.kind === 'header' ? read.header.flaws : []
}

test('readSafetensorsHeader reads names, dtypes, shapes and metadata', () => {
  const read = readSafetensorsHeader(FILE, FILE.length)

  assert.equal(read.kind, 'header')
  if (read.kind !== 'header') return
  assert.deepEqual(
    [...read.header.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    TENSORS,
  )
  assert.equal(read.header.metadata.get('note')?.shown, 'a "quoted: { text')
  assert.deepEqual(read.header.flaws, [])
})

test('readSafetensorsHeader reads what the Hub client reads', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'model.safetensors', content: CONTENT, lfs: true }] })
  const repo = { type: 'model', name: 'Qwen/A-1B' } as const
  const other = await parseSafetensorsMetadata({ repo, hubUrl: hub.url, path: 'model.safetensors' })
  const read = readSafetensorsHeader(FILE, FILE.length)

  assert.ok(!other.sharded && read.kind === 'header')
  const { __metadata__: metadata, ...tensors } = other.header
  assert.deepEqual(
    Object.entries(tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
    [...read.header.tensors],
  )
  assert.deepEqual(
    Object.entries(metadata ?? {}),
    [...read.header.metadata].map(([key, value]) => [key, value.shown]),
  )
})

test('readSafetensorsHeader asks for what it needs', () => {
  assert.deepEqual(readSafetensorsHeader(FILE.subarray(0, 3), FILE.length), { kind: 'more', bytes: 8 })
  const read = readSafetensorsHeader(FILE.subarray(0, 100), FILE.length)
  assert.equal(read.kind, 'more')
  if (read.kind === 'more')
    assert.equal(readSafetensorsHeader(FILE.subarray(0, read.bytes), FILE.length).kind, 'header')
})

test('readSafetensorsHeader calls what is no such file malformed', () => {
  const start = (length: bigint): Uint8Array => {
    const bytes = Uint8Array.from(FILE)
    new DataView(bytes.buffer).setBigUint64(0, length, true)
    return bytes
  }
  const cases: [string, Uint8Array][] = [
    ['all ones', start(2n ** 64n - 1n)],
    ['a length of 100,000,001', start(100_000_001n)],
    ['longer than the file', start(BigInt(FILE.length))],
    ['no header', start(0n)],
    ['7 bytes', FILE.subarray(0, 7)],
  ]
  for (const [name, bytes] of cases) assert.equal(readSafetensorsHeader(bytes, bytes.length).kind, 'malformed', name)
  assert.equal(readSafetensorsHeader(start(100_000_001n), 5e9).kind, 'malformed', 'more than is read of any header')
  for (const text of ['[]', '{"a":', '{"a":1}}', '{\u0000}', 'null'])
    assert.equal(withHeader(text).kind, 'malformed', text)
  assert.equal(withHeader('['.repeat(100_000)).kind, 'malformed')
  assert.equal(withHeader(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`).kind !== 'more', true)
})

test('readSafetensorsHeader flags what loaders read in different ways', () => {
  const tensor = (start: number, end: number, shape = '[1]'): string =>
    `{"dtype":"U8","shape":${shape},"data_offsets":[${start},${end}]}`

  assert.deepEqual(flawsOf(withHeader(`{"w":${tensor(0, 4)},"w":${tensor(0, 4)}}`, 4)), ['a name is there twice'])
  assert.deepEqual(flawsOf(withHeader(`{"w":${tensor(0, 4)},"\\u0077":${tensor(0, 4)}}`, 4)), ['a name is there twice'])
  assert.deepEqual(flawsOf(withHeader(`{"w":${tensor(4, 0)}}`, 4))[0], 'w: data offsets outside the file')
  assert.deepEqual(flawsOf(withHeader(`{"a":${tensor(0, 3)},"b":${tensor(2, 4)}}`, 4)), ['tensors overlap'])
  assert.deepEqual(flawsOf(withHeader(`{"a":${tensor(0, 1)},"b":${tensor(2, 4)}}`, 4)), [
    'there is a hole between tensors',
  ])
  assert.deepEqual(flawsOf(withHeader(`{"a":${tensor(0, 1)}}`, 4)), ['there are bytes that belong to no tensor'])
  assert.deepEqual(flawsOf(withHeader(`{"a":${tensor(0, 4, '[9007199254740993]')}}`, 4))[0], 'a: no shape')
  assert.deepEqual(flawsOf(withHeader('{"__metadata__":{"a":1}}')), ['metadata a is no text'])
})

test('readSafetensorsHeader never throws', () => {
  const anything = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify({ a: value, __metadata__: value }))
  fc.assert(fc.property(anything, (text) => assert.equal(withHeader(text, 10).kind, 'header')))
  fc.assert(
    fc.property(fc.nat(FILE.length - 1), fc.uint8Array({ minLength: 1, maxLength: 12 }), (at, bytes) => {
      const copy = Uint8Array.from(FILE)
      copy.set(bytes.subarray(0, copy.length - at), at)
      assert.ok(['header', 'malformed', 'more'].includes(readSafetensorsHeader(copy, copy.length).kind))
    }),
    { numRuns: 500 },
  )
})
