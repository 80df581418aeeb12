import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkConfigText } from '../../src/config/check-config.ts'

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text)

test('every configuration of docs/operations.md is valid as it stands', () => {
  for (const text of blocks) {
    const checked = checkConfigText(text, 'example', undefined)
    assert.deepEqual('problems' in checked ? checked.problems : [], [], text)
  }
})

test('docs/operations.md has an example of every kind of channel', () => {
  const all = blocks.join('\n')
  for (const kind of ['"https:', '"slack:', '"discord:', '"ntfy:', '"mailto:']) assert.ok(all.includes(kind), kind)
})
