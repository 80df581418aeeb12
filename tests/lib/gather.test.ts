import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gather } from '../../src/lib/gather.ts'
import { until } from '../support/until.ts'

const NEVER_MS = 2 ** 30

test('so many as are enough are handed on at once, in order', () => {
  const groups: (readonly number[])[] = []
  const gather = new Gather<number>({ maxItems: 2, withinMs: NEVER_MS }, (items) => groups.push(items))

  for (const item of [1, 2, 3, 4, 5]) gather.add(item)

  assert.deepEqual(groups, [
    [1, 2],
    [3, 4],
  ])
  assert.equal(gather.size, 1)
  gather.flush()
  gather.flush()
  assert.deepEqual(groups.slice(2), [[5]], 'nothing is handed on twice, and nobody gets nothing')
  assert.equal(gather.size, 0)
})

test('fewer are handed on when they waited long enough, each time anew', async () => {
  const groups: (readonly number[])[] = []
  const gather = new Gather<number>({ maxItems: 9, withinMs: 1 }, (items) => groups.push(items))

  gather.add(1)
  gather.add(2)
  await until('the first group is handed on', () => groups.length === 1)
  gather.add(3)
  await until('the second group is handed on', () => groups.length === 2)

  assert.deepEqual(groups, [[1, 2], [3]])
})
