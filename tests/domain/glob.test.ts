import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { matchGlob } from '../../src/domain/glob.ts'

/** The slow, obvious meaning: dynamic programming over code points. */
function matchesByTable(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern)
  const characters = Array.from(text)
  let row = [true, ...characters.map(() => false)]
  for (const character of wanted) {
    const next: boolean[] = [character === '*' && row[0] === true]
    for (const [at, actual] of characters.entries()) {
      const here =
        character === '*'
          ? next[at] === true || row[at + 1] === true
          : row[at] === true && (character === '?' || character === actual)
      next.push(here)
    }
    row = next
  }
  return row.at(-1) === true
}

test('matchGlob takes nothing but * and ? for more than itself', () => {
  for (const [pattern, text] of [
    ['', 'a'],
    ['a', ''],
    ['a.b', 'axb'],
    ['[ab]', 'a'],
    ['a|b', 'a'],
    ['(a)', 'a'],
    ['a+', 'aa'],
    ['^a$', 'a'],
    ['\\*', 'a'],
    ['*.GGUF', 'x.gguf'],
    ['?', ''],
    ['?', 'ab'],
    ['??', '😀'],
    ['a*b', 'ab c'],
  ] as const) {
    assert.equal(matchGlob(pattern, text), false, `${pattern} on ${text}`)
  }
})

test('matchGlob lets * cross folders, as the Python clients of the Hub do', () => {
  for (const [pattern, text] of [
    ['*', ''],
    ['*', 'a/b/c.gguf'],
    ['*.gguf', 'Q8_0/Qwen3-Coder-Next-Q8_0-00001-of-00003.gguf'],
    ['Qwen3*-GGUF', 'Qwen3.5-9B-GGUF'],
    ['transformer/*', 'transformer/a/b.safetensors'],
    ['*/config.json', 'text_encoder/config.json'],
    ['a?c', 'a/c'],
    ['?', '😀'],
    ['[ab]', '[ab]'],
    ['**', 'x'],
    ['a**b', 'a/x/b'],
  ] as const) {
    assert.equal(matchGlob(pattern, text), true, `${pattern} on ${text}`)
  }
})

test('matchGlob means what the table of all prefixes means', () => {
  const piece = fc.constantFrom('*', '?', 'a', 'b', '/', '😀', 'ab', '**')
  const text = fc.array(fc.constantFrom('a', 'b', '/', '😀', '.'), { maxLength: 12 }).map((parts) => parts.join(''))
  const pattern = fc.array(piece, { maxLength: 10 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(pattern, text, (glob, path) => {
      assert.equal(matchGlob(glob, path), matchesByTable(glob, path))
    }),
    { numRuns: 3000 },
  )
})

// A backtracking matcher would need longer than the universe has for the first of these.
test('matchGlob does not explode on any pattern', () => {
  assert.equal(matchGlob('*a'.repeat(500), 'a'.repeat(5000)), true)
  assert.equal(matchGlob(`${'*a'.repeat(500)}b`, 'a'.repeat(5000)), false)
  assert.equal(matchGlob(`${'*?'.repeat(500)}b`, 'a'.repeat(5000)), false)
  assert.equal(matchGlob(`${'*'.repeat(5000)}b`, 'a'.repeat(50_000)), false)
})
