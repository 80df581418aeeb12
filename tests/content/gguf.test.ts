import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  GGMLFileQuantizationType,
  GGMLQuantizationType,
  gguf as parseGguf,
  parseGGUFQuantLabel,
} from '@huggingface/gguf'
import type { Content } from '../support/content/content.ts'
import { QUANTS, gguf, ggufTensorBytes, weightsType } from '../support/content/gguf.ts'
import type { GgufTensor, GgufValue } from '../support/content/gguf.ts'

/** What another implementation reads in the file. */
async function parsed(content: Content) {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-gguf-'))
  try {
    const path = join(folder, 'file.gguf')
    await writeFile(path, content.read(0, content.size))
    return await parseGguf(path, { allowLocalFile: true, computeParametersCount: true, typedMetadata: true })
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('gguf refuses a row that is no multiple of its type block', () => {
  const tensor: GgufTensor = { name: 'a', type: 'Q4_K', shape: [100, 4] }

  assert.throws(
    () => gguf({ architecture: 'qwen3', quant: 'Q4_K_M', tensors: [tensor], seed: 1 }),
    /no multiple of 256/,
  )
})

test('gguf is read by another implementation: metadata, tensors, alignment, size', async () => {
  const tensors: GgufTensor[] = [
    { name: 'token_embd.weight', type: 'Q4_K', shape: [256, 7] },
    { name: 'blk.0.attn_norm.weight', type: 'F32', shape: [5] },
    { name: 'blk.0.ffn_down.weight', type: 'Q6_K', shape: [512, 3] },
    { name: 'output_norm.weight', type: 'F32', shape: [256] },
  ]
  const chatTemplate = "{%- for message in messages %}{{ '<|im_start|>' + message.role }}{%- endfor %} 你好"
  const content = gguf({
    architecture: 'qwen3',
    quant: 'Q4_K_M',
    tensors,
    chatTemplate,
    metadata: new Map<string, GgufValue>([
      ['general.name', 'Qwen3 8B'],
      ['general.license', 'apache-2.0'],
      ['qwen3.block_count', 36],
      ['qwen3.attention.layer_norm_rms_epsilon', 0.5],
      ['test.negative', -3],
      ['test.big', 2n ** 63n],
      ['test.flag', true],
      ['split.count', { uint16: 2 }],
      ['tokenizer.ggml.tokens', ['a', 'b', 'ü']],
    ]),
    seed: 'x',
  })

  const read = await parsed(content)

  assert.equal(read.metadata.version, 3)
  assert.deepEqual(
    Object.entries(read.metadata).slice(3),
    Object.entries({
      'general.architecture': 'qwen3',
      'general.file_type': GGMLFileQuantizationType.Q4_K_M,
      'general.quantization_version': 2,
      'tokenizer.chat_template': chatTemplate,
      'general.name': 'Qwen3 8B',
      'general.license': 'apache-2.0',
      'qwen3.block_count': 36,
      'qwen3.attention.layer_norm_rms_epsilon': 0.5,
      'test.negative': -3,
      'test.big': 2n ** 63n,
      'test.flag': true,
      'split.count': 2,
      'tokenizer.ggml.tokens': ['a', 'b', 'ü'],
    }),
  )
  assert.deepEqual(
    read.tensorInfos.map(({ name, dtype, shape }) => ({
      name,
      type: GGMLQuantizationType[dtype],
      shape: shape.map(Number),
    })),
    tensors.map(({ name, type, shape }) => ({ name, type, shape })),
  )
  assert.equal(read.tensorDataOffset % 32n, 0n)
  for (const info of read.tensorInfos) assert.equal(info.offset % 32n, 0n)
  const last = read.tensorInfos.at(-1)
  assert.ok(last)
  assert.equal(Number(read.tensorDataOffset + last.offset) + 256 * 4, content.size)
  assert.equal(read.parameterCount, 256 * 7 + 5 + 512 * 3 + 256)
})

test('gguf gives every quantisation a file type that others know by the same name', async () => {
  for (const quant of QUANTS) {
    const tensor: GgufTensor = { name: 'w', type: weightsType(quant), shape: [256, 4] }

    const read = await parsed(gguf({ architecture: 'qwen3', quant, tensors: [tensor], seed: quant }))

    const fileType = new Map<string, unknown>(Object.entries(read.metadata)).get('general.file_type')
    const known = GGMLFileQuantizationType[Number(fileType)]
    assert.equal(GGMLQuantizationType[read.tensorInfos[0]?.dtype ?? -1], tensor.type)
    if (!quant.startsWith('UD-')) assert.equal(known, quant)
    assert.equal(parseGGUFQuantLabel(`Qwen3-8B-${quant}.gguf`), quant)
  }
})

test('ggufTensorBytes gives the bits per weight that each type is known for', () => {
  const bits = (type: GgufTensor['type']) => (ggufTensorBytes({ name: 'w', type, shape: [256] }) * 8) / 256

  assert.deepEqual(
    [bits('F32'), bits('BF16'), bits('Q8_0'), bits('Q6_K'), bits('Q5_K'), bits('Q4_K'), bits('Q4_0'), bits('Q3_K')],
    [32, 16, 8.5, 6.5625, 5.5, 4.5, 4.5, 3.4375],
  )
})
