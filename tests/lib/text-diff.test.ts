import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unifiedDiff } from '../../src/lib/text-diff.ts'

function diff(before: string, after: string): string | undefined {
  return unifiedDiff({ name: 'LICENSE@a', text: before }, { name: 'LICENSE@b', text: after })
}

test('unifiedDiff shows what changed, with context, and equal texts as nothing', () => {
  const lines = Array.from({ length: 20 }, (_, at) => `line ${at}\n`)
  const patch = diff(lines.join(''), lines.join('').replace('line 9', 'other'))

  assert.match(patch ?? '', /^--- LICENSE@a\t?\n\+\+\+ LICENSE@b\t?\n@@ -7,7 \+7,7 @@\n line 6\n/m)
  assert.match(patch ?? '', /^-line 9\n\+other$/m)
  assert.equal(diff('a\r\nb\r', 'a\nb\n'), '')
})

test('unifiedDiff gives up on texts that have nothing in common', () => {
  const text = (seed: string): string => Array.from({ length: 20_000 }, (_, at) => `${seed} ${at}`).join('\n')

  assert.equal(diff(text('a'), text('b')), undefined)
})
