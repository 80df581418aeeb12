import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isClockTrusted, judgeSilence } from '../../src/domain/silence.ts'

const DAY = 86_400_000
const NOW = Date.parse('2026-09-01T00:00:00.000Z')
const given = { nowMs: NOW, watchedSinceMs: NOW - 400 * DAY, silentAfterMs: 60 * DAY }
/** A sign of life every so many days, the last one so long ago. */
const every = (days: number, last: number, count = 30): number[] =>
  Array.from({ length: count }, (_, at) => NOW - (last + at * days) * DAY)

test('an owner is silent after the configured days, and not before', () => {
  assert.equal(judgeSilence([NOW - 59 * DAY], given), undefined)
  const silence = judgeSilence([NOW - 60 * DAY, NOW - 200 * DAY], given)
  assert.deepEqual(
    [silence?.reason, silence?.sinceMs, silence?.quietMs, silence?.longestPauseMs],
    ['days', NOW - 60 * DAY, 60 * DAY, undefined],
  )
})

test('an owner who published every few days is silent long before that', () => {
  assert.equal(judgeSilence(every(3, 20), given)?.reason, 'pace')
  // Never within two weeks, whatever the pace was.
  assert.equal(judgeSilence(every(1, 13), given), undefined)
  // Its own past has such pauses.
  assert.equal(judgeSilence(every(20, 25), given), undefined)
  // Too little is known of the past.
  assert.equal(judgeSilence(every(3, 20, 7), given), undefined)
})

test('what was before we watched is no silence, and still tells the pace', () => {
  const watchedSinceMs = NOW - 20 * DAY
  assert.equal(judgeSilence([NOW - 300 * DAY], { ...given, watchedSinceMs }), undefined)
  assert.equal(judgeSilence(every(3, 300), { ...given, watchedSinceMs })?.reason, 'pace')
  assert.equal(judgeSilence([], { ...given, watchedSinceMs: NOW - 61 * DAY })?.sinceMs, NOW - 61 * DAY)
})

test('dates in the future count for nothing, in any order, however often they come', () => {
  const time = fc.integer({ min: NOW - 2000 * DAY, max: NOW })
  const future = fc.integer({ min: NOW + 1, max: NOW + 4000 * DAY })
  fc.assert(
    fc.property(fc.array(time), fc.array(future), (past, ahead) => {
      const plain = judgeSilence(past, given)
      assert.deepEqual(judgeSilence([...ahead, ...past.toReversed(), ...past], given), plain)
    }),
  )
})

test('a sign of life now ends every silence, and without one a silence only grows', () => {
  const times = fc.array(fc.integer({ min: NOW - 2000 * DAY, max: NOW }))
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 500 * DAY }), (past, moreMs) => {
      assert.equal(judgeSilence([...past, NOW], given), undefined)
      const before = judgeSilence(past, given)
      const after = judgeSilence(past, { ...given, nowMs: NOW + moreMs })
      if (before === undefined) return
      assert.equal(after?.sinceMs, before.sinceMs)
      assert.equal(after?.quietMs, before.quietMs + moreMs)
    }),
  )
})

test('nothing is concluded from time while our clock and the Hub differ by more than a day', () => {
  const header = (ms: number): string => new Date(ms).toUTCString()
  assert.ok(isClockTrusted(NOW, header(NOW - DAY)))
  assert.ok(!isClockTrusted(NOW, header(NOW - 3650 * DAY)))
  assert.ok(!isClockTrusted(NOW, header(NOW + 3650 * DAY)))
  assert.ok(isClockTrusted(NOW, undefined))
  assert.ok(isClockTrusted(NOW, 'yesterday or so'))
})
