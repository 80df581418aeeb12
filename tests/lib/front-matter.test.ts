import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readFrontMatter } from '../../src/lib/front-matter.ts'

const KEYS = ['license', 'license_name', 'license_link']

function read(text: string): Record<string, unknown> | undefined {
  return readFrontMatter(text, KEYS)
}

function card(block: string): string {
  return `---\n${block}\n---\n# Model\n`
}

test('readFrontMatter reads the asked fields of the first block only', () => {
  assert.deepEqual(read('---\nlicense: mit\n---\n---\nlicense: apache-2.0\n---\n'), { license: 'mit' })
  assert.deepEqual(read('\ufeff---\r\nlicense: mit\r\ntags:\r\n- a\r\n---\r\nwords'), { license: 'mit' })
  assert.deepEqual(read('---\r\n---\r\n---\nlicense: mit\n---'), {})
  const own = 'license: other\nlicense_name: "qwen-research"\nlicense_link: >-\n  https://x/LICENSE\nbase_model: y'
  assert.deepEqual(read(card(own)), {
    license: 'other',
    license_name: 'qwen-research',
    license_link: 'https://x/LICENSE',
  })
  assert.deepEqual(read(card('license:\n- mit\n- apache-2.0\nx: 1')), { license: ['mit', 'apache-2.0'] })
  assert.deepEqual(read(card('license: [mit, apache-2.0]')), { license: ['mit', 'apache-2.0'] })
  assert.deepEqual(read(card('model:\n  license: mit\nlicenses: x\nlicense_names: y')), {})
})

test('readFrontMatter finds none where none is', () => {
  for (const text of ['', '# Model', 'license: mit', '---\nlicense: mit\n', ' ---\nlicense: mit\n---\n']) {
    assert.equal(read(text), undefined)
  }
  assert.equal(read(`---${'\n'.repeat(200_000)}`), undefined)
})

test('readFrontMatter concludes nothing from entries that are twins, broken or too long', () => {
  const broken = [
    'license: mit\nlicense: apache-2.0',
    'license: "mit',
    'license: *alias',
    'license: mit: x',
    `license: ${'mit '.repeat(1000)}`,
    `license:${'\n  - mit'.repeat(1000)}`,
    `license: ${'['.repeat(10_000)}`,
  ]
  for (const block of broken) assert.equal(read(card(block)), undefined, block.slice(0, 30))
})

test('readFrontMatter does not look at what else is there: bombs, depth, quotes, tags', () => {
  const laughs = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (const [at, name] of 'bcdefghi'.split('').entries()) {
    laughs.push(`${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[at]}`).join(',')}]`)
  }
  const others = [
    laughs.join('\n'),
    `x: ${'['.repeat(10_000)}`,
    `x: ${'{a: '.repeat(10_000)}`,
    Array.from({ length: 300 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
    '- '.repeat(10_000),
    '"'.repeat(100_000),
    '&a '.repeat(30_000),
    '!!x '.repeat(30_000),
  ]
  for (const other of others) {
    assert.deepEqual(read(card(`license: mit\ntags: x\n${other}`)), { license: 'mit' }, other.slice(0, 30))
    assert.deepEqual(read(card(`${other}\nlicense: mit`)), { license: 'mit' }, other.slice(0, 30))
  }
})

test('readFrontMatter makes neither prototypes nor functions of what it reads', () => {
  assert.deepEqual(read(card('__proto__: { license: mit }\n<<: { license: mit }')), {})
  assert.deepEqual(readFrontMatter(card('license: !!js/function "x"'), KEYS), { license: 'x' })
  assert.equal(({} as Record<string, unknown>)['license'], undefined)
})

test('readFrontMatter never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      read(card(text))
      read(card(`license: ${text}`))
      read(text)
    }),
  )
})
