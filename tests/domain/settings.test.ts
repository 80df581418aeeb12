import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isInsideWindow } from '../../src/domain/settings.ts'

const window = (start: number, end: number) => ({ startMinute: start * 60, endMinute: end * 60 })
const at = (hour: number, minute = 0) => hour * 60 + minute

test('isInsideWindow spans midnight when the end is before the start', () => {
  const night = window(23, 7)

  assert.ok(isInsideWindow(night, at(23)))
  assert.ok(isInsideWindow(night, at(0)))
  assert.ok(isInsideWindow(night, at(6, 59)))
  assert.ok(!isInsideWindow(night, at(7)))
  assert.ok(!isInsideWindow(night, at(22, 59)))
})

test('isInsideWindow takes the start and leaves the end out', () => {
  const day = window(8, 18)

  assert.deepEqual(
    [at(7, 59), at(8), at(17, 59), at(18)].map((minute) => isInsideWindow(day, minute)),
    [false, true, true, false],
  )
})

test('isInsideWindow is always true without a window, and for one without a length', () => {
  assert.ok(isInsideWindow(undefined, 0))
  assert.ok(isInsideWindow(window(9, 9), at(3)))
})

test('isInsideWindow lets each minute into a window or into the one that fills up the day', () => {
  const minute = fc.nat(1439)
  fc.assert(
    fc.property(minute, minute, minute, (startMinute, endMinute, now) => {
      fc.pre(startMinute !== endMinute)
      const inside = isInsideWindow({ startMinute, endMinute }, now)
      assert.notEqual(inside, isInsideWindow({ startMinute: endMinute, endMinute: startMinute }, now))
    }),
  )
})
