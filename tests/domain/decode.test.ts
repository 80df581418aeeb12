import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  decodeBoundedObject,
  decodeDigits,
  decodeObject,
  decodeSize,
  decodeStrings,
  decodeTime,
} from '../../src/domain/decode.ts'

test('decodeSize refuses every number that is not an exact size', () => {
  const sizes = JSON.parse('[9007199254740993,9007199254740992,1e400,-1,1.5,"123",null,true,[1],-0]') as unknown[]

  for (const size of [...sizes, undefined, Number.NaN]) assert.equal(decodeSize(size), undefined)
})

test('decodeSize keeps 0 and the largest exact integer', () => {
  assert.equal(decodeSize(0), 0)
  assert.equal(decodeSize(9007199254740991), 9007199254740991)
})

test('decodeDigits refuses signs, blanks, lists, hexadecimal and numbers too large to be exact', () => {
  for (const text of [undefined, '', '-5', '+5', ' 5', '5 ', '50, 60', '0x10', '1e3', '9007199254740993', '٣']) {
    assert.equal(decodeDigits(text), undefined)
  }
  assert.equal(decodeDigits('0'), 0)
  assert.equal(decodeDigits('007'), 7)
})

test('decodeTime refuses what is not exactly a UTC time of our days', () => {
  const refused = [
    '2026-02-30T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+02:00',
    '2026-01-01 00:00:00Z',
    ' 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
    '1970-01-01T00:00:00Z',
    '9999-01-01T00:00:00Z',
    '+012026-01-01T00:00:00Z',
    '',
    1767225600000,
    null,
  ]

  for (const text of refused) assert.equal(decodeTime(text), undefined, String(text))
})

test('decodeTime normalises to milliseconds', () => {
  assert.equal(decodeTime('2026-09-20T09:41:00Z'), '2026-09-20T09:41:00.000Z')
  assert.equal(decodeTime('2026-09-20T09:41:00.5Z'), '2026-09-20T09:41:00.500Z')
  assert.equal(decodeTime('2026-09-20T09:41:00.123456Z'), '2026-09-20T09:41:00.123Z')
  assert.equal(decodeTime('2024-02-29T23:59:59.999Z'), '2024-02-29T23:59:59.999Z')
})

test('decodeTime gives back every time it made', () => {
  const times = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  fc.assert(fc.property(times, (time) => decodeTime(time.toISOString()) === time.toISOString()))
})

test('decodeStrings refuses other kinds and passed bounds', () => {
  const bounds = { count: 2, length: 3 }

  for (const value of ['abc', null, ['a', 1], ['abcd'], ['a', 'b', 'c'], { 0: 'a' }]) {
    assert.equal(decodeStrings(value, bounds), undefined)
  }
  assert.deepEqual(decodeStrings(['a', 'abc'], bounds), ['a', 'abc'])
})

test('decodeBoundedObject refuses deep and large objects and everything else', () => {
  assert.equal(decodeBoundedObject({ a: { b: { c: {} } } }, 100, 3), undefined)
  assert.equal(decodeBoundedObject({ a: 'x'.repeat(100) }, 100, 3), undefined)
  for (const value of [[], 'x', null, 1]) assert.equal(decodeBoundedObject(value, 100, 3), undefined)
  assert.deepEqual(decodeBoundedObject({ a: { b: [] } }, 100, 3), { a: { b: [] } })
})

test('decodeObject takes objects only', () => {
  for (const value of [[], null, 'a', 1, undefined]) assert.equal(decodeObject(value), undefined)
  assert.deepEqual(decodeObject({}), {})
})
