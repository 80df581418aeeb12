import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { GGMLFileQuantizationType, GGMLQuantizationType, gguf as parseGguf } from '@huggingface/gguf'
import { readGgufHeader } from '../../src/domain/gguf-header.ts'
import { GGUF_FILE_TYPES, GGUF_TENSOR_TYPES } from '../../src/domain/gguf-types.ts'
import type { WeightHeader } from '../../src/domain/weight-header.ts'
import { gguf, type GgufTensor, type GgufValue } from '../support/content/gguf.ts'

const TENSORS: GgufTensor[] = [
  { name: 'token_embd.weight', type: 'Q4_K', shape: [256, 7] },
  { name: 'blk.0.attn_norm.weight', type: 'F32', shape: [5] },
  { name: 'blk.0.ffn_down.weight', type: 'Q6_K', shape: [512, 3] },
]

function file(metadata: readonly [string, GgufValue][] = [], chatTemplate = '{{ a }}', tensors = TENSORS): Uint8Array {
  const content = gguf({
    architecture: 'qwen3',
    quant: 'Q4_K_M',
    tensors,
    chatTemplate,
    metadata: new Map(metadata),
    seed: 1,
  })
  return Uint8Array.from(content.read(0, content.size))
}

const FULL = file([
  ['general.name', 'Qwen3 8B'],
  ['qwen3.block_count', 36],
  ['qwen3.attention.layer_norm_rms_epsilon', 0.5],
  ['test.negative', -3],
  ['test.big', 2n ** 63n],
  ['test.flag', true],
  ['split.count', { uint16: 2 }],
  ['tokenizer.ggml.tokens', ['a', 'b', 'ü']],
])

function headerOf(bytes: Uint8Array): WeightHeader {
  const read = readGgufHeader(bytes, bytes.length)
  assert.equal(read.kind, 'header')
  if (read.kind !== 'header') throw new Error('unreachable')
  return read.header
}

test('readGgufHeader reads what another implementation reads', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-gguf-'))
  try {
    const path = join(folder, 'file.gguf')
    await writeFile(path, FULL)
    const other = await parseGguf(path, { allowLocalFile: true })
    const header = headerOf(FULL)

    assert.deepEqual(
      [...header.tensors].map(([name, { dtype, shape }]) => [name, dtype, shape]),
      other.tensorInfos.map(({ name, dtype, shape }) => [name, GGMLQuantizationType[dtype], shape.map(Number)]),
    )
    for (const [key, value] of Object.entries(other.metadata)) {
      if (['version', 'tensor_count', 'kv_count'].includes(key)) continue
      const expected = Array.isArray(value) ? `[${value.length} values]` : String(value)
      assert.equal(header.metadata.get(key)?.shown, expected, key)
    }
    assert.deepEqual(header.flaws, [])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('readGgufHeader names types as another implementation does', () => {
  for (const [id, name] of GGUF_TENSOR_TYPES) assert.equal(GGMLQuantizationType[id], name)
  for (const [id, name] of GGUF_FILE_TYPES)
    assert.equal(GGMLFileQuantizationType[Number(id)]?.replace('MOSTLY_', ''), name)
})

test('readGgufHeader asks for more until the header is whole, and for nothing after it', () => {
  const whole = headerOf(FULL)
  let length = 0
  for (let rounds = 0; rounds < 1000; rounds += 1) {
    const read = readGgufHeader(FULL.subarray(0, length), FULL.length)
    if (read.kind !== 'more') {
      assert.deepEqual(read, { kind: 'header', header: whole })
      return
    }
    assert.ok(read.bytes > length)
    length = read.bytes
  }
  assert.fail('it never has enough')
})

test('readGgufHeader sees that a long text changed at its end', () => {
  const [one, other] = ['a', 'b'].map((end) => headerOf(file([], `${'x'.repeat(10_000)}${end}`)))
  const key = 'tokenizer.chat_template'

  assert.notEqual(one?.metadata.get(key)?.hash, other?.metadata.get(key)?.hash)
  assert.ok((one?.metadata.get(key)?.shown.length ?? 0) < 300)
})

function patched(at: number, bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(FULL)
  copy.set(bytes, at)
  return copy
}

test('readGgufHeader calls what is no such file malformed', () => {
  const huge = [255, 255, 255, 255, 255, 255, 255, 127]
  const cases: [string, Uint8Array][] = [
    ['other magic', patched(0, [0x50])],
    ['version 1', patched(4, [1])],
    ['big-endian', patched(4, [0, 0, 0, 3])],
    ['tensors without end', patched(8, huge)],
    ['metadata without end', patched(16, huge)],
    ['a key without end', patched(24, huge)],
    ['nothing', new Uint8Array()],
    ['cut short', FULL.subarray(0, 200)],
  ]
  for (const [name, bytes] of cases) assert.equal(readGgufHeader(bytes, bytes.length).kind, 'malformed', name)
  // However large the file is said to be.
  for (const [name, bytes] of cases.slice(0, 6)) assert.equal(readGgufHeader(bytes, 1e12).kind, 'malformed', name)
})

/** A header of these counts, then the bytes. */
function raw(tensors: bigint, metadata: bigint, ...rest: readonly (readonly number[])[]): Uint8Array {
  const head = Buffer.alloc(24)
  head.write('GGUF')
  head.writeUInt32LE(3, 4)
  head.writeBigUInt64LE(tensors, 8)
  head.writeBigUInt64LE(metadata, 16)
  return Uint8Array.from([...head, ...rest.flat()])
}

test('readGgufHeader refuses counts, dimensions and nesting that no model has, however large the file is', () => {
  const u32 = (value: number): number[] => [value, 0, 0, 0]
  const u64 = (value: number): number[] => [...u32(value), 0, 0, 0, 0]
  const nested = (depth: number): number[] =>
    depth === 0 ? [...u32(0), ...u64(0)] : [...u32(9), ...u64(1), ...nested(depth - 1)]
  const key = [...u64(1), 97]
  const kindOf = (bytes: Uint8Array): string => readGgufHeader(bytes, 1e12).kind

  assert.equal(kindOf(raw(2_000_000n, 0n)), 'malformed')
  assert.equal(kindOf(raw(0n, 2_000_000n)), 'malformed')
  assert.equal(
    kindOf(raw(1n, 0n, key, u32(9), ...Array.from({ length: 9 }, () => u64(1)), u32(0), u64(0))),
    'malformed',
  )
  assert.equal(kindOf(raw(1n, 0n, key, u32(2), u64(1), u64(1), u32(0), u64(0))), 'header')
  assert.equal(kindOf(raw(0n, 1n, key, u32(9), nested(3))), 'header')
  assert.equal(kindOf(raw(0n, 1n, key, u32(9), nested(4))), 'malformed')
})

test('readGgufHeader flags twins and keeps hostile names as they are', () => {
  const twins = [...TENSORS, { ...TENSORS[0]!, shape: [256] }]
  const header = headerOf(
    file(
      [
        ['__proto__', 'x'],
        ['\u001b[2J', 'y'],
      ],
      'z',
      twins,
    ),
  )

  assert.deepEqual(header.flaws, ['tensor token_embd.weight is there twice'])
  assert.equal(header.metadata.get('__proto__')?.shown, 'x')
})

test('readGgufHeader never throws and never reads on for ever', () => {
  fc.assert(
    fc.property(fc.nat(FULL.length - 1), fc.uint8Array({ minLength: 1, maxLength: 12 }), (at, bytes) => {
      const copy = Uint8Array.from(FULL)
      copy.set(bytes.subarray(0, copy.length - at), at)
      assert.ok(['header', 'malformed'].includes(readGgufHeader(copy, copy.length).kind))
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const start = Uint8Array.from([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, ...bytes])
      readGgufHeader(start, 10_000_000)
    }),
    { numRuns: 500 },
  )
})
