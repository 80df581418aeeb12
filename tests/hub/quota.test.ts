import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  decidePace,
  learnQuota,
  type PaceState,
  type QuotaKnowledge,
  type QuotaWindow,
  type Span,
} from '../../src/hub/quota.ts'

const NOW = 1_000_000
/** A window, and the second that its end may be off. */
const LONGEST_MS = 15 * 60_000 + 1000

function state(knowledge: QuotaKnowledge, inFlight = 0, lastStartMs = 0): PaceState {
  return { knowledge, started: 7, inFlight, lastStartMs }
}

/** What leaves so many requests to `state`. */
function left(available: number, resetAtMs: number): QuotaWindow {
  return { limit: available + 7, resetAtMs, quota: 500, receivedAt: 0 }
}

/** Of a request that was sent and answered alone. */
function span(given: Partial<Span> = {}): Span {
  return { sentAt: 1, receivedAt: 2, receivedMs: NOW, started: 0, uncounted: 0, ...given }
}

function reading(remaining: number, resetSeconds = 60) {
  return { bucket: 'api', remaining, resetSeconds, quota: 500 }
}

const knowledge = fc.oneof(
  fc.constantFrom<QuotaKnowledge>('unknown', 'unlimited'),
  fc.record({
    limit: fc.integer({ min: -50, max: 2000 }),
    resetAtMs: fc.integer({ min: NOW - 1_000_000, max: NOW + 100_000_000_000 }),
    quota: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
    receivedAt: fc.nat(),
  }),
)
const pace = fc.record({
  knowledge,
  started: fc.constant(0),
  inFlight: fc.nat({ max: 50 }),
  lastStartMs: fc.integer({ min: NOW - 1_000_000, max: NOW + 1_000_000 }),
})

test('decidePace never waits longer than 15 minutes or a negative time, whatever was read', () => {
  fc.assert(
    fc.property(pace, (given) => {
      const decision = decidePace(given, NOW)
      if (decision.kind === 'wait') assert.ok(decision.ms > 0 && decision.ms <= 15 * 60_000, String(decision.ms))
    }),
  )
})

test('decidePace never starts a request that would use up the last one of a window', () => {
  const spent = fc.record({
    limit: fc.integer({ min: -50, max: 1 }),
    resetAtMs: fc.integer({ min: NOW + 1, max: NOW + LONGEST_MS }),
    quota: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
    receivedAt: fc.nat(),
  })
  fc.assert(
    fc.property(pace, spent, (given, known) => {
      assert.equal(decidePace({ ...given, knowledge: known }, NOW).kind, 'wait')
    }),
  )
})

test('decidePace sends one request alone while nothing is known', () => {
  assert.equal(decidePace(state('unknown', 0), NOW).kind, 'go')
  assert.equal(decidePace(state('unknown', 1), NOW).kind, 'after-answer')
  assert.equal(decidePace(state(left(400, NOW), 1), NOW).kind, 'after-answer')
})

test('decidePace waits for nothing that has no quota', () => {
  assert.equal(decidePace(state('unlimited', 100), NOW).kind, 'go')
})

test('decidePace spreads what little is left over the rest of the window', () => {
  const paceOf = (available: number, lastStartMs = NOW) =>
    decidePace(state(left(available, NOW + 100_000), 0, lastStartMs), NOW)

  assert.deepEqual(paceOf(51), { kind: 'go' })
  assert.deepEqual(paceOf(50), { kind: 'wait', ms: 2440 })
  assert.deepEqual(paceOf(50, NOW - 2440), { kind: 'go' })
  assert.deepEqual(paceOf(10), { kind: 'wait', ms: 100_000 })
})

test('decidePace leaves the part that is kept for others', () => {
  const paceOf = (available: number) => decidePace(state(left(available, NOW + 100_000), 0, NOW), NOW, 0.2)

  assert.deepEqual(paceOf(151), { kind: 'go' })
  assert.deepEqual(paceOf(150), { kind: 'wait', ms: 2440 })
  assert.deepEqual(paceOf(110), { kind: 'wait', ms: 100_000 })
})

test('learnQuota takes off what the reading may not have counted yet', () => {
  const known = learnQuota('unknown', reading(100), span({ started: 30, uncounted: 4 }))

  assert.deepEqual(known, { limit: 126, resetAtMs: NOW + 61_000, quota: 500, receivedAt: 2 })
})

test('learnQuota believes a reading that says more when it was asked for after the known one had come', () => {
  const first = learnQuota('unknown', reading(40), span({ sentAt: 1, receivedAt: 5 }))

  // The clock was set back meanwhile.
  const second = learnQuota(first, reading(100, 50), span({ sentAt: 6, receivedAt: 7, receivedMs: NOW - 5000 }))

  assert.deepEqual(second, { limit: 100, resetAtMs: NOW + 46_000, quota: 500, receivedAt: 7 })
})

test('learnQuota believes the reading that says less of two that were under way together, however they overtook', () => {
  const [less, more] = [span({ sentAt: 3, receivedAt: 6 }), span({ sentAt: 4, receivedAt: 5 })]
  const lessLater = learnQuota(learnQuota('unknown', reading(99, 50), more), reading(40), less)
  const lessFirst = learnQuota(learnQuota('unknown', reading(40), more), reading(99, 50), less)

  assert.deepEqual(lessLater, { limit: 40, resetAtMs: NOW + 51_000, quota: 500, receivedAt: 6 })
  assert.deepEqual(lessFirst, { limit: 40, resetAtMs: NOW + 51_000, quota: 500, receivedAt: 5 })
})

test('learnQuota caps an absurd window', () => {
  const known = learnQuota('unknown', reading(499, 999_999_999), span())

  assert.deepEqual(known, { limit: 499, resetAtMs: NOW + LONGEST_MS, quota: 500, receivedAt: 2 })
})

test('learnQuota starts anew when the window is over', () => {
  const known = learnQuota(left(3, NOW), reading(499), span({ sentAt: 0 }))

  assert.equal(typeof known === 'object' && known.limit, 499)
})

test('a quota that was used up before the clock was set back is asked for anew', () => {
  const spent = left(0, NOW + LONGEST_MS + 1)

  assert.equal(decidePace(state(spent), NOW).kind, 'go')
  assert.equal(learnQuota(spent, undefined, span()), 'unlimited')
})

test('learnQuota forgets a quota nobody names any more', () => {
  assert.equal(learnQuota('unknown', undefined, span()), 'unlimited')
  assert.equal(learnQuota(left(5, NOW), undefined, span()), 'unlimited')
  assert.equal(typeof learnQuota(left(5, NOW + 99), undefined, span()), 'object')
})
