import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnsTogether } from '../../src/store/turns-together.ts'
import { until } from '../support/until.ts'

const NEVER_MS = 2 ** 30

/** Turns that end when the test says so. */
function heldTurns(limits: { enough: number; withinMs: number; isMoreComing: () => boolean }) {
  const begun: (readonly number[])[] = []
  const ends: PromiseWithResolvers<void>[] = []
  const turns = new TurnsTogether<number>((items) => {
    begun.push(items)
    const end = Promise.withResolvers<void>()
    ends.push(end)
    return end.promise
  }, limits)
  return { turns, begun, ends }
}

test('a turn begins when enough wait, and takes all that wait; what comes meanwhile has the next one', async () => {
  const { turns, begun, ends } = heldTurns({ enough: 3, withinMs: NEVER_MS, isMoreComing: () => true })

  const taken = [turns.take([1]), turns.take([2, 3]), turns.take([4]), turns.take([5, 6, 7])]
  assert.deepEqual(begun, [[1, 2, 3]])
  ends[0]?.resolve()
  await Promise.all(taken.slice(0, 2))
  await until('the second turn begins', () => begun.length === 2)
  ends[1]?.resolve()

  await Promise.all(taken)
  assert.deepEqual(begun[1], [4, 5, 6, 7])
})

test('few wait for others only while others are on their way, and not for long', async () => {
  let isMoreComing = true
  const few = heldTurns({ enough: 9, withinMs: NEVER_MS, isMoreComing: () => isMoreComing })
  void few.turns.take([1])
  assert.deepEqual(few.begun, [])
  isMoreComing = false
  void few.turns.take([])
  assert.deepEqual(few.begun, [[1]])

  const slow = heldTurns({ enough: 9, withinMs: 1, isMoreComing: () => true })
  void slow.turns.take([1])
  await until('the first turn begins', () => slow.begun.length === 1)
  void slow.turns.take([2])
  slow.ends[0]?.resolve()
  await until('the second turn begins', () => slow.begun.length === 2)
  assert.deepEqual(slow.begun, [[1], [2]])
})

test('a turn that throws fails those who had it, and no others', async () => {
  const { turns, ends } = heldTurns({ enough: 1, withinMs: NEVER_MS, isMoreComing: () => false })
  const [bad, good] = [turns.take([1]), turns.take([2])]

  ends[0]?.reject(new Error('no'))

  await assert.rejects(bad, /no/)
  await until('the second turn begins', () => ends.length === 2)
  ends[1]?.resolve()
  await good
})
