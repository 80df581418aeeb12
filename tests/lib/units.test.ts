import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  UnitError,
  formatDuration,
  formatRate,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
} from '../../src/lib/units.ts'

const NOT_A_SIZE = [
  '',
  ' ',
  'GB',
  '-1GB',
  '+1GB',
  '1e3',
  '0x10',
  '1,5GB',
  '1.GB',
  '.5GB',
  '1_000',
  '5 0GB',
  '5  GB',
  'NaN',
  'Infinity',
  '١GB',
  '1GB ; rm',
]

for (const text of NOT_A_SIZE) {
  test(`parseSize refuses ${JSON.stringify(text)} and says what a size is`, () => {
    assert.throws(() => parseSize(text), { name: 'UnitError', message: /a size is a number with kB, MB/ })
  })
}

test('parseSize refuses a bit unit, a bare prefix and a wrong case, naming what was meant', () => {
  assert.throws(() => parseSize('500Gb'), /did you mean "GB"/)
  assert.throws(() => parseSize('500gb'), /did you mean "GB"/)
  assert.throws(() => parseSize('8mib'), /did you mean "MiB"/)
  assert.throws(() => parseSize('4T'), /powers of 1000/)
  assert.throws(() => parseSize('4parsec'), UnitError)
})

test('parseSize refuses what a number cannot hold exactly', () => {
  assert.equal(parseSize('9007199254740991'), Number.MAX_SAFE_INTEGER)
  assert.throws(() => parseSize('9007199254740992'), /too large/)
  assert.throws(() => parseSize('9008TB'), /too large/)
  assert.throws(() => parseSize('0.0001KiB'), /not a whole number of bytes/)
  assert.throws(() => parseSize('0.5B'), /not a whole number of bytes/)
})

test('parseSize takes time linear in a hostile text and does not echo it whole', () => {
  assert.throws(
    () => parseSize('9'.repeat(1_000_000)),
    (error: Error) => error.message.length < 300,
  )
})

test('parseSize tells decimal from binary units and keeps fractions exact', () => {
  assert.equal(parseSize('123'), 123)
  assert.equal(parseSize('0'), 0)
  assert.equal(parseSize('1B'), 1)
  assert.equal(parseSize('1kB'), 1000)
  assert.equal(parseSize('1KB'), 1000)
  assert.equal(parseSize('8MB'), 8_000_000)
  assert.equal(parseSize('8MiB'), 8 * 2 ** 20)
  assert.equal(parseSize('500GB'), 500e9)
  assert.equal(parseSize('4TB'), 4e12)
  assert.equal(parseSize('4TiB'), 4 * 2 ** 40)
  assert.equal(parseSize('1.1GB'), 1_100_000_000)
  assert.equal(parseSize('0.5KiB'), 512)
  assert.equal(parseSize(' 20 GB '), 20e9)
})

test('parseDuration refuses a number without a unit and unknown units', () => {
  assert.throws(() => parseDuration('10'), /has no unit: a duration/)
  assert.throws(() => parseDuration('10min'), /ms, s, m, h, d or w/)
  assert.throws(() => parseDuration('10M'), /did you mean "m"/)
  assert.throws(() => parseDuration('1h30m'), UnitError)
  assert.throws(() => parseDuration('-1s'), UnitError)
  assert.throws(() => parseDuration('0.5ms'), /not a whole number of milliseconds/)
  assert.throws(() => parseDuration('99999999999w'), /too large/)
})

test('parseDuration reads each unit as milliseconds', () => {
  const read = ['0s', '500ms', '10s', '15m', '1.5h', '30d', '2w'].map(parseDuration)

  assert.deepEqual(read, [0, 500, 10_000, 900_000, 5_400_000, 2_592_000_000, 1_209_600_000])
})

test('parseRate needs /s and more than nothing', () => {
  assert.throws(() => parseRate('50MB'), /does not end in "\/s"/)
  assert.throws(() => parseRate('50MB/m'), /does not end in "\/s"/)
  assert.throws(() => parseRate('50Mbit/s'), UnitError)
  assert.throws(() => parseRate('0MB/s'), /nothing would ever move/)
  assert.equal(parseRate('50MB/s'), 50e6)
  assert.equal(parseRate('1.5 MiB/s'), 1_572_864)
})

test('formatSize writes three digits and moves to the next unit before a fourth appears', () => {
  const written = [0, 1, 999, 1000, 1234, 12_345, 123_456, 999_499, 999_500, 1_230_000_000, 500e9, 4e12, 2 ** 53]

  assert.deepEqual(written.map(formatSize), [
    '0 B',
    '1 B',
    '999 B',
    '1.00 kB',
    '1.23 kB',
    '12.3 kB',
    '123 kB',
    '999 kB',
    '1.00 MB',
    '1.23 GB',
    '500 GB',
    '4.00 TB',
    '9.01 PB',
  ])
  assert.equal(formatSize(-1500), '-1.50 kB')
  assert.equal(formatSize(Number.NaN), 'unknown')
  assert.equal(formatRate(50e6), '50.0 MB/s')
})

test('formatDuration writes the two largest units', () => {
  const written = [0, 450, 1000, 12_345, 200_000, 3_600_000, 7_500_000, 2_592_000_000, 90_061_000]

  assert.deepEqual(written.map(formatDuration), ['0ms', '450ms', '1s', '12s', '3m 20s', '1h', '2h 5m', '30d', '1d 1h'])
  assert.equal(formatDuration(-5000), '-5s')
  assert.equal(formatDuration(Number.POSITIVE_INFINITY), 'unknown')
})

test('parseSize reads back any whole size in any unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8000 }), fc.constantFrom('B', 'kB', 'MB', 'GB', 'TB'), (amount, unit) => {
      const power = ['B', 'kB', 'MB', 'GB', 'TB'].indexOf(unit)

      return parseSize(`${amount}${unit}`) === amount * 1000 ** power
    }),
  )
})

test('formatSize never writes a number of four digits', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => /^\d{1,3}(\.\d{1,2})? [kMGTPE]?B$/.test(formatSize(bytes))))
})
