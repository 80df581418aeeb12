import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readFrontMatter } from '../../src/lib/front-matter.ts'

function card(block: string): string {
  return `---\n${block}\n---\n# Model\n`
}

test('readFrontMatter reads the first block only', () => {
  assert.deepEqual(readFrontMatter('---\nlicense: mit\n---\n---\nlicense: apache-2.0\n---\n'), { license: 'mit' })
  assert.deepEqual(readFrontMatter('\ufeff---\r\nlicense: mit\r\n---\r\nwords'), { license: 'mit' })
  assert.equal(readFrontMatter('---\r\n---\r\n---\nlicense: mit\n---'), null)
})

test('readFrontMatter finds none where none is', () => {
  for (const text of ['', '# Model', 'license: mit', '---\nlicense: mit\n', ' ---\nlicense: mit\n---\n']) {
    assert.equal(readFrontMatter(text), undefined)
  }
})

test('readFrontMatter refuses bombs of every kind', () => {
  const laughs = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (const [at, name] of 'bcdefghi'.split('').entries()) {
    const last = 'abcdefgh'[at]
    laughs.push(`${name}: &${name} [${Array(9).fill(`*${last}`).join(',')}]`)
  }
  const bombs = [
    laughs.join('\n'),
    `x: ${'['.repeat(10_000)}`,
    `x: ${'['.repeat(10_000)}${']'.repeat(10_000)}`,
    `x: ${'{a: '.repeat(10_000)}`,
    Array.from({ length: 10_000 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
    '- '.repeat(10_000),
    '? '.repeat(10_000),
    `license: ${'mit '.repeat(100_000)}`,
  ]
  for (const bomb of bombs) assert.equal(readFrontMatter(card(bomb)), undefined, bomb.slice(0, 30))
  assert.equal(readFrontMatter(`---${'\n'.repeat(200_000)}`), undefined)
})

test('readFrontMatter makes neither prototypes nor functions of what it reads', () => {
  const read = readFrontMatter(card('__proto__: { license: mit }\n<<: { license: mit }')) as Record<string, unknown>
  assert.equal(read['license'], undefined)
  assert.equal(({} as Record<string, unknown>)['license'], undefined)
  const tagged = readFrontMatter(card('license: !!js/function "x"')) as Record<string, unknown>
  assert.equal(tagged['license'], 'x')
})

test('readFrontMatter never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      readFrontMatter(card(text))
      readFrontMatter(text)
    }),
  )
})
