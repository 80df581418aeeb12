import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diffHeaders } from '../../src/domain/header-diff.ts'
import type { MetaValue, TensorFacts, WeightHeader } from '../../src/domain/weight-header.ts'

function header(tensors: Record<string, TensorFacts>, metadata: Record<string, string> = {}): WeightHeader {
  const values = Object.entries(metadata).map(([key, text]): [string, MetaValue] => [key, { shown: text, hash: text }])
  return { format: 'gguf', tensors: new Map(Object.entries(tensors)), metadata: new Map(values), flaws: [] }
}

const W: TensorFacts = { dtype: 'BF16', shape: [4, 4] }
const BASE = header({ w: W, v: W }, { 'tokenizer.chat_template': 'a', 'general.name': 'x', 'general.file_type': '15' })

function whatOf(after: WeightHeader): readonly string[] {
  return diffHeaders(BASE, after).what
}

test('diffHeaders names what changed, the chat template first', () => {
  const metadata = { 'tokenizer.chat_template': 'b', 'general.name': 'y', 'general.file_type': '7' }
  assert.deepEqual(whatOf(header({ w: W, v: W }, metadata)), [
    'chat template changed',
    'quantisation Q4_K_M → Q8_0',
    'metadata general.name changed',
  ])
})

test('diffHeaders tells tensors that came, went, or have another shape or dtype', () => {
  const same = Object.fromEntries([...BASE.metadata].map(([key, value]) => [key, value.shown]))
  const diff = diffHeaders(BASE, header({ w: { dtype: 'F8_E4M3', shape: [4, 8] }, u: W }, same))

  assert.deepEqual(diff.what, [
    '1 tensor added',
    '1 tensor removed',
    '1 tensor reshaped',
    'dtype BF16 → F8_E4M3 in 1 tensor',
  ])
  assert.deepEqual(diff.tensorsReshaped, ['w [4,4] → [4,8]'])
  assert.deepEqual(diff.dtypes, { before: { BF16: 2 }, after: { BF16: 1, F8_E4M3: 1 } })
})

test('diffHeaders says that only values changed when the headers are equal', () => {
  assert.deepEqual(diffHeaders(BASE, BASE).what, ['the header is the same: only values of tensors changed'])
  assert.equal(diffHeaders(BASE, BASE).dtypes, undefined)
})

test('diffHeaders stays short however much changed', () => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`${'n'.repeat(500)}${at}`, W]))
  const keys = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`${'k'.repeat(500)}${at}`, 'v']))

  assert.ok(JSON.stringify(diffHeaders(BASE, header(many, keys))).length < 20_000)
})
