import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { backOffMs, isRetryable, limitedBackOffMs } from '../../src/hub/back-off.ts'

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('backOffMs and limitedBackOffMs are never negative and never longer than five minutes, whatever is asked', () => {
  const asked = fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: undefined })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), random, asked, (attempt, jitter, askedMs) => {
      for (const wait of [backOffMs(attempt, jitter, askedMs), limitedBackOffMs(attempt, jitter, askedMs)]) {
        assert.ok(Number.isSafeInteger(wait) && wait >= 0 && wait <= 300_000)
      }
    }),
  )
})

test('backOffMs spreads attempts over a doubling span and waits at least as long as asked', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((attempt) => backOffMs(attempt, 0.999, undefined)),
    [1998, 3996, 7992, 7992],
  )
  assert.equal(backOffMs(1, 0, undefined), 0)
  assert.equal(backOffMs(1, 0, 9000), 9000)
})

test('limitedBackOffMs never tries again at once without being told a time', () => {
  assert.equal(limitedBackOffMs(1, 0, undefined), 4000)
  assert.equal(limitedBackOffMs(10, 0, undefined), 30_000)
})

test('isRetryable separates what passes from what stays', () => {
  for (const status of [408, 429, 500, 502, 503, 504]) assert.equal(isRetryable(status), true)
  for (const status of [200, 204, 301, 400, 401, 403, 404, 410, 416, 451]) assert.equal(isRetryable(status), false)
})
