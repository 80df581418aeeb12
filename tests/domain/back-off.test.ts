import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { backOffMs } from '../../src/domain/back-off.ts'
import { ERROR_CODES, type ErrorCode } from '../../src/domain/errors.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

test('backOffMs stays between half a minute and six hours, and between half an hour and three days for wrong bytes', () => {
  const codes = fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[]))
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(codes, fc.integer({ min: 1, max: 2 ** 31 }), random, (code, attempts, chance) => {
      const [first, longest] = code === 'DIGEST_MISMATCH' ? [HOUR, 72 * HOUR] : [MINUTE, 6 * HOUR]
      const wait = backOffMs(code, attempts, chance)
      assert.ok(Number.isSafeInteger(wait))
      assert.ok(wait >= first / 2 && wait <= longest)
      assert.ok(wait <= backOffMs(code, attempts + 1, 1))
    }),
  )
})

test('backOffMs doubles from a minute, with jitter above half', () => {
  assert.deepEqual(
    [1, 2, 3, 9, 10, 1000].map((attempts) => backOffMs('HUB_UNREACHABLE', attempts, 1)),
    [MINUTE, 2 * MINUTE, 4 * MINUTE, 256 * MINUTE, 6 * HOUR, 6 * HOUR],
  )
  assert.equal(backOffMs('HUB_UNREACHABLE', 1, 0), MINUTE / 2)
  assert.equal(backOffMs('DIGEST_MISMATCH', 1, 0), HOUR / 2)
  assert.equal(backOffMs('DIGEST_MISMATCH', 40, 1), 72 * HOUR)
})
