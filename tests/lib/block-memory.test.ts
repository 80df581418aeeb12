import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Block, BlockMemory } from '../../src/lib/block-memory.ts'

test('those who wait for memory are asked in their order, and go on only with what they wait for', async (t) => {
  const memory = new BlockMemory(2)
  const [first, second] = [memory.take()!, memory.take()!]
  const got: [who: string, block: Block][] = []
  const takeFor = (who: string, mayTake = () => true): Promise<void> =>
    memory.until(() => {
      const block = mayTake() ? memory.take() : undefined
      if (block !== undefined) got.push([who, block])
      return block !== undefined
    }, t.signal)

  let isAllowed = false
  const waiting = [takeFor('a', () => isAllowed), takeFor('b'), takeFor('c')]
  memory.giveBack(first)
  await waiting[1]
  assert.deepEqual(got, [['b', first]])
  isAllowed = true
  memory.giveBack(second)
  await waiting[0]
  assert.deepEqual(got.slice(1), [['a', second]])
  memory.giveBack(first)
  await waiting[2]
  assert.deepEqual(got.slice(2), [['c', first]])
})

test('what is given up by a holder goes to whoever waits, and is asked for only when nothing comes back by itself', async (t) => {
  const memory = new BlockMemory(1)
  const block = memory.take()!
  let willGiveBack = true
  const asked: boolean[] = []
  const end = memory.addHolder({
    get willGiveBack() {
      return willGiveBack
    },
    giveUpOne: () => {
      asked.push(willGiveBack)
      memory.giveBack(block)
      return true
    },
  })
  let taken: Block | undefined
  const waiting = memory.until(() => (taken = memory.take()) !== undefined, t.signal)
  assert.deepEqual(asked, [])
  willGiveBack = false
  memory.wake()
  await waiting
  assert.equal(taken, block)
  assert.deepEqual(asked, [false])
  end()
  assert.equal(memory.take(), undefined)
  assert.deepEqual(asked, [false], 'one who has gone is asked no more')
})

test('what goes wrong in one who waits for memory is told to that one, and the others go on', async (t) => {
  const memory = new BlockMemory(1)
  const block = memory.take()!
  let isBroken = false
  const breaks = memory.until(() => {
    if (isBroken) throw new Error('broken')
    return false
  }, t.signal)
  const takes = memory.until(() => memory.take() !== undefined, t.signal)
  isBroken = true
  memory.giveBack(block)
  await assert.rejects(breaks, /broken/)
  await takes
})

test('whoever stops waiting for memory takes none', async () => {
  const memory = new BlockMemory(1)
  const block = memory.take()!
  const stop = new AbortController()
  const waiting = memory.until(() => memory.take() !== undefined, stop.signal)
  stop.abort(new Error('no longer'))
  await assert.rejects(waiting, /no longer/)
  memory.giveBack(block)
  await Promise.resolve()
  assert.equal(memory.take(), block)
  await assert.rejects(
    memory.until(() => true, stop.signal),
    /no longer/,
  )
})
