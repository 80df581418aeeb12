import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assert as holds, asyncProperty, uint8Array } from 'fast-check'
import { readGgufFacts } from '../../src/mirror/gguf-header.ts'
import { gguf } from '../support/content/gguf.ts'

const NOTHING = { architecture: undefined, sizeLabel: undefined, chatTemplate: undefined }

/** Counts what is read: a header must not make us read a whole file. */
function sourceOf(bytes: Uint8Array, endless = false) {
  const source = {
    reads: 0,
    read: async (into: Uint8Array, position: number): Promise<number> => {
      source.reads += 1
      const part = bytes.subarray(position, position + into.length)
      into.set(part)
      return endless ? into.length : part.length
    },
  }
  return source
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const text = (value: string) => Buffer.concat([u64(BigInt(Buffer.byteLength(value))), Buffer.from(value)])
const header = (keys: bigint, ...parts: Buffer[]) =>
  Buffer.concat([Buffer.from('GGUF'), u32(3), u64(0n), u64(keys), ...parts])

test('readGgufFacts finds architecture, size and chat template behind a large vocabulary', async () => {
  const content = gguf({
    architecture: 'qwen3',
    quant: 'Q8_0',
    metadata: new Map<string, string | readonly string[]>([
      ['tokenizer.ggml.tokens', Array.from({ length: 150_000 }, (_none, at) => `t${at}`)],
      ['general.size_label', '4B'],
    ]),
    chatTemplate: '<|im_start|>',
    tensors: [{ name: 'a', type: 'F32', shape: [32] }],
    seed: 1,
  })
  const source = sourceOf(Buffer.from(content.read(0, content.size)))
  assert.deepEqual(await readGgufFacts(source), {
    architecture: 'qwen3',
    sizeLabel: '4B',
    chatTemplate: '<|im_start|>',
  })
})

test('readGgufFacts says nothing of what is malformed, and reads little of it', async () => {
  const architecture = [text('general.architecture'), u32(8)]
  const cases: Record<string, Buffer> = {
    'an empty file': Buffer.alloc(0),
    'another format': Buffer.from('GGML'.padEnd(100)),
    'an unknown version': Buffer.concat([Buffer.from('GGUF'), u32(99), u64(1n), u64(1n)]),
    'more keys than fit': header(2n ** 63n),
    'a key that is too long': header(1n, u64(2n ** 40n)),
    'a text longer than the file': header(1n, ...architecture, u64(10n ** 6n)),
    'a text beyond all bounds': header(1n, ...architecture, u64(2n ** 64n - 1n)),
    'an unknown type': header(1n, text('x'), u32(77)),
    'an array of endless arrays': header(
      1n,
      text('x'),
      u32(9),
      ...Array.from({ length: 50 }, () => [u32(9), u64(9n)]).flat(),
    ),
    'an array of too many': header(1n, text('x'), u32(9), u32(10), u64(2n ** 25n)),
    'a file that ends in a key': header(5n, text('x'), u32(4)),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    for (const endless of [false, true]) {
      const source = sourceOf(bytes, endless)
      assert.deepEqual({ ...NOTHING, ...(await readGgufFacts(source)), architecture: undefined }, NOTHING, name)
      assert.ok(source.reads < 500, `${name}: ${source.reads} reads`)
    }
  }
})

test('readGgufFacts never fails for any bytes', async () => {
  await holds(
    asyncProperty(uint8Array({ maxLength: 300 }), async (bytes) => {
      await readGgufFacts(sourceOf(Buffer.concat([Buffer.from('GGUF'), u32(3), bytes])))
    }),
    { numRuns: 500 },
  )
})

test('readGgufFacts lets a failing disk be a failing disk', async () => {
  await assert.rejects(readGgufFacts({ read: () => Promise.reject(new Error('disk')) }), /disk/)
})
