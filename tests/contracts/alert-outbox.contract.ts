import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AlertOutbox } from '../../src/alert-port.ts'
import { eventOf } from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

const DAY = 24 * 3_600_000
const burst = { fromMs: 1, count: 2, lastCutMs: 3 }
const text = { title: 't', happened: 'h', means: 'm', todo: 'd' }
const failure = { code: 'CHANNEL_REFUSED', message: 'no', nextTryMs: 9, nowMs: 5 }

function alert(...seqs: readonly number[]) {
  return { id: `x-${seqs.join('-')}`, kind: 'alert', seqs } as const
}

async function stateOf(outbox: AlertOutbox, key: string) {
  const state = await outbox.channelState(key)
  assert.ok(state)
  return state
}

/** Delivery of alerts. */
export function alertOutboxContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: outbox`, () => {
    test('`openChannels` lets a new channel begin after the newest event, and leaves a known one where it is', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a'], 0)
      await catalog.appendEvents([eventOf(), eventOf()])
      await outbox.openChannels(['a', 'b'], DAY)

      assert.deepEqual(
        (await outbox.channelStates()).map(({ key, cutSeq, digestSeq }) => [key, cutSeq, digestSeq]),
        [
          ['a', 0, 0],
          ['b', 2, 2],
        ],
      )
      assert.equal(await outbox.channelState('c'), undefined)
    })

    test('`openChannels` lets a channel that was away for a month begin anew, and removes none that is not named', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a', 'b'], 0)
      await catalog.appendEvents([eventOf(), eventOf()])
      await outbox.storeCut('a', { from: 0, to: 1, messages: [alert(1)], burst, nowMs: 0 })
      await outbox.openChannels(['b'], 20 * DAY)
      await outbox.openChannels(['a', 'b'], 31 * DAY)

      const states = await outbox.channelStates()

      assert.deepEqual(
        states.map(({ cutSeq, queued }) => [cutSeq, queued]),
        [
          [2, 1],
          [0, 0],
        ],
      )
      assert.match((await outbox.firstMessage('a'))?.notice?.happened ?? '', /Events 2 to 2, /)
    })

    test('`storeCut` moves the cursor and stores the messages in order, once', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a', 'b'], 0)
      const cut = { from: 0, to: 7, messages: [alert(1, 4, 6), alert(2)], burst, nowMs: 5 }

      assert.equal(await outbox.storeCut('a', cut), true)
      assert.equal(await outbox.storeCut('a', cut), false)
      assert.equal(await outbox.storeCut('nobody', cut), false)

      const state = await stateOf(outbox, 'a')
      assert.deepEqual([state.cutSeq, state.digestSeq, state.queued, state.burst], [7, 0, 2, burst])
      const first = await outbox.firstMessage('a')
      assert.deepEqual([first?.id, first?.seqs, first?.createdMs, first?.attempts], ['x-1-4-6', [1, 4, 6], 5, 0])
      assert.equal(await outbox.firstMessage('b'), undefined)
      assert.equal((await stateOf(outbox, 'b')).cutSeq, 0)
    })

    test('`storeDigest` moves its own cursor, with or without a message', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a'], 0)

      await outbox.storeDigest('a', { from: 0, to: 3, message: undefined, nextAtMs: 100, nowMs: 1 })
      const message = { id: 'x-4-digest', kind: 'digest', seqs: [4, 5] } as const
      assert.equal(await outbox.storeDigest('a', { from: 0, to: 5, message, nextAtMs: 200, nowMs: 1 }), false)
      assert.equal(await outbox.storeDigest('a', { from: 3, to: 5, message, nextAtMs: 200, nowMs: 1 }), true)

      const state = await stateOf(outbox, 'a')
      assert.deepEqual([state.cutSeq, state.digestSeq, state.digestAtMs], [0, 5, 200])
      assert.deepEqual((await outbox.firstMessage('a'))?.kind, 'digest')
    })

    test('`messageFailed` keeps the message and counts; `messageSent` removes it and forgets the failures', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a', 'b'], 0)
      await outbox.storeCut('a', { from: 0, to: 2, messages: [alert(1), alert(2)], burst, nowMs: 0 })
      const row = (await outbox.firstMessage('a'))!.row

      await outbox.messageFailed('a', row, failure, undefined)
      await outbox.messageFailed(
        'a',
        row,
        { ...failure, nowMs: 7, message: 'x'.repeat(5000) },
        { to: ['b'], id: 'n-1', text },
      )
      const failing = await stateOf(outbox, 'a')

      assert.deepEqual([failing.failures, failing.failingSinceMs, failing.nextTryMs, failing.toldMs], [2, 5, 9, 7])
      assert.deepEqual([failing.lastCode, failing.lastMessage?.length], ['CHANNEL_REFUSED', 1000])
      assert.equal((await outbox.firstMessage('a'))?.attempts, 2)
      assert.deepEqual((await outbox.firstMessage('b'))?.notice, text)

      await outbox.messageSent('a', row, 11, { to: ['b', 'gone'], id: 'n-2', text })
      const works = await stateOf(outbox, 'a')

      assert.deepEqual(
        [works.failures, works.failingSinceMs, works.toldMs, works.lastCode, works.lastSentMs, works.queued],
        [0, undefined, undefined, undefined, 11, 1],
      )
      assert.equal((await outbox.firstMessage('a'))?.id, 'x-2')
      assert.equal((await stateOf(outbox, 'b')).queued, 2)
    })

    test('`giveUp` removes what is old, never what says so, and counts events', async () => {
      await using catalog = await open()
      const { outbox } = catalog
      await outbox.openChannels(['a'], 0)
      await outbox.storeCut('a', { from: 0, to: 9, messages: [alert(1, 5, 9), alert(2)], burst, nowMs: 10 })
      await outbox.storeCut('a', { from: 9, to: 12, messages: [alert(12)], burst, nowMs: 20 })

      assert.equal(await outbox.giveUp('a', 10, 30), 0)
      assert.equal(await outbox.giveUp('a', 15, 30), 4)
      assert.equal(await outbox.giveUp('a', 15, 30), 0)

      const state = await stateOf(outbox, 'a')
      assert.deepEqual([state.givenUp, state.queued], [4, 2])
      const first = (await outbox.firstMessage('a'))!
      assert.equal(first.id, 'x-12')
      await outbox.messageSent('a', first.row, 31, undefined)
      assert.match((await outbox.firstMessage('a'))?.notice?.happened ?? '', /4 alerts about events 1 to 9 /)
      assert.equal(await outbox.giveUp('a', 1e15, 40), 0)
    })
  })
}
