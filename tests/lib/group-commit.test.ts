import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { GroupCommit } from '../../src/lib/group-commit.ts'
import { until } from '../support/until.ts'

test('what arrives while a commit runs is committed together, in order, at most so many at once', async () => {
  const groups: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const commits = new GroupCommit<number, string>(
    async (items) => {
      groups.push([...items])
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      await gate.promise
      return items.map((item) => `${item}!`)
    },
    { maxItems: 3 },
  )

  const endCommit = async (nth: number): Promise<void> =>
    (await until(`commit ${nth} runs`, () => gates[nth])).resolve()

  const first = commits.add(0)
  await until('the first commit runs', () => gates.length === 1)
  const later = [1, 2, 3, 4].map((item) => commits.add(item))
  await endCommit(0)
  assert.equal(await first, '0!')
  await endCommit(1)
  assert.deepEqual(await Promise.all(later.slice(0, 3)), ['1!', '2!', '3!'])
  await endCommit(2)

  assert.equal(await later[3], '4!')
  assert.deepEqual(groups, [[0], [1, 2, 3], [4]])
  await commits.idle()
})

test('a commit that throws fails its items and no others', async () => {
  const commits = new GroupCommit<number, number>(
    async (items) => {
      if (items.includes(1)) throw new Error('no')
      return items
    },
    { maxItems: 1 },
  )

  const [good, bad, after] = await Promise.allSettled([commits.add(0), commits.add(1), commits.add(2)])

  assert.equal(good?.status, 'fulfilled')
  assert.equal(bad?.status, 'rejected')
  assert.equal(after?.status, 'fulfilled')
})

test('a second commit runs beside the first when enough waits for it, and never a third', async () => {
  const groups: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const commits = new GroupCommit<number, number>(
    async (items) => {
      groups.push([...items])
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      await gate.promise
      return items
    },
    { maxItems: 10, besideFrom: 2 },
  )
  const first = commits.add(0)
  await until('the first commit runs', () => gates.length === 1)

  const rest = [1, 2, 3, 4].map((item) => commits.add(item))
  await until('the second commit runs', () => gates.length === 2)
  gates[1]?.resolve()
  await Promise.all(rest)
  const [fifth, sixth] = [commits.add(5), commits.add(6)]
  await until('the third commit runs', () => gates.length === 3)
  const last = [7, 8].map((item) => commits.add(item))
  assert.equal(groups.length, 3)
  for (const gate of gates) gate.resolve()
  await until('the last commit runs', () => gates.length === 4)
  gates[3]?.resolve()

  await Promise.all([first, fifth, sixth, ...last])
  assert.deepEqual(groups, [[0], [1, 2, 3, 4], [5, 6], [7, 8]])
  await commits.idle()
})

test('what a second commit took while the first one waited for more is no empty commit', async () => {
  const groups: number[][] = []
  const commits = new GroupCommit<number, number>(
    async (items) => {
      groups.push([...items])
      return items
    },
    { maxItems: 10, besideFrom: 2, gatherMs: 20 },
  )
  const first = commits.add(0)
  // It waits for more by now.
  await setImmediate()

  await Promise.all([first, commits.add(1), commits.add(2)])

  await commits.idle()
  assert.deepEqual(groups.flat(), [0, 1, 2])
  assert.ok(groups.every((group) => group.length > 0))
})
