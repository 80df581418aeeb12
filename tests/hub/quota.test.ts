import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decidePace, learnQuota, type PaceState, QuotaGate, type QuotaKnowledge } from '../../src/hub/quota.ts'
import { createVirtualClock } from './support/virtual-clock.ts'

const NOW = 1_000_000
/** A window, and the second that its end may be off. */
const LONGEST_MS = 15 * 60_000 + 1000
const never = () => undefined

function state(knowledge: QuotaKnowledge, inFlight = 0, lastStartMs = 0): PaceState {
  return { knowledge, inFlight, lastStartMs }
}

const knowledge = fc.oneof(
  fc.constantFrom<QuotaKnowledge>('unknown', 'unlimited'),
  fc.record({
    available: fc.integer({ min: -50, max: 2000 }),
    resetAtMs: fc.integer({ min: NOW - 1_000_000, max: NOW + 100_000_000_000 }),
    quota: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
  }),
)
const pace = fc.record({
  knowledge,
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
    available: fc.integer({ min: -50, max: 1 }),
    resetAtMs: fc.integer({ min: NOW + 1, max: NOW + LONGEST_MS }),
    quota: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
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
  assert.equal(decidePace(state({ available: 400, resetAtMs: NOW, quota: 500 }, 1), NOW).kind, 'after-answer')
})

test('decidePace waits for nothing that has no quota', () => {
  assert.equal(decidePace(state('unlimited', 100), NOW).kind, 'go')
})

test('decidePace spreads what little is left over the rest of the window', () => {
  const resetAtMs = NOW + 100_000
  const left = (available: number, lastStartMs = NOW) =>
    decidePace(state({ available, resetAtMs, quota: 500 }, 0, lastStartMs), NOW)

  assert.deepEqual(left(51), { kind: 'go' })
  assert.deepEqual(left(50), { kind: 'wait', ms: 2440 })
  assert.deepEqual(left(50, NOW - 2440), { kind: 'go' })
  assert.deepEqual(left(10), { kind: 'wait', ms: 100_000 })
})

test('learnQuota believes only ever less within a window, however answers overtake each other', () => {
  const span = { sentMs: NOW, receivedMs: NOW + 50 }
  const first = learnQuota('unknown', { bucket: 'api', remaining: 100, resetSeconds: 60, quota: 500 }, span, 0)
  const later = { sentMs: NOW + 10_000, receivedMs: NOW + 10_050 }
  const second = learnQuota(first, { bucket: 'api', remaining: 40, resetSeconds: 50, quota: 500 }, later, 3)
  const slow = { sentMs: NOW, receivedMs: NOW + 12_000 }
  const third = learnQuota(second, { bucket: 'api', remaining: 99, resetSeconds: 60, quota: 500 }, slow, 2)

  assert.equal(typeof second === 'object' && second.available, 37)
  assert.equal(typeof third === 'object' && third.available, 37)
})

test('learnQuota starts anew with a new window and caps an absurd one', () => {
  const span = { sentMs: NOW, receivedMs: NOW }
  const old = { available: 0, resetAtMs: NOW + 5000, quota: 500 }
  const fresh = learnQuota(old, { bucket: 'api', remaining: 499, resetSeconds: 999_999_999, quota: 500 }, span, 0)

  assert.deepEqual(fresh, { available: 499, resetAtMs: NOW + LONGEST_MS, quota: 500 })
})

test('a quota that was used up before the clock was set back is asked for anew', () => {
  const spent = { available: 0, resetAtMs: NOW + LONGEST_MS + 1, quota: 500 }

  assert.equal(decidePace(state(spent), NOW).kind, 'go')
  assert.equal(learnQuota(spent, undefined, { sentMs: NOW, receivedMs: NOW }, 0), 'unlimited')
})

test('learnQuota forgets a quota nobody names any more', () => {
  const span = { sentMs: NOW, receivedMs: NOW + 10 }

  assert.equal(learnQuota('unknown', undefined, span, 0), 'unlimited')
  assert.equal(learnQuota({ available: 5, resetAtMs: NOW, quota: 500 }, undefined, span, 0), 'unlimited')
  assert.equal(typeof learnQuota({ available: 5, resetAtMs: NOW + 99, quota: 500 }, undefined, span, 0), 'object')
})

test('QuotaGate lets no waiter outlive its signal', async () => {
  const gate = new QuotaGate(createVirtualClock(), never)
  await gate.enter('api', new AbortController().signal)
  const abort = new AbortController()

  const waiting = gate.enter('api', abort.signal)
  abort.abort(new Error('stop'))

  await assert.rejects(waiting, /stop/)
})

test('QuotaGate frees the next request when the one under way failed', async () => {
  const gate = new QuotaGate(createVirtualClock(), never)
  const { signal } = new AbortController()
  const first = await gate.enter('api', signal)

  const second = gate.enter('api', signal)
  first.leave('failed')

  await second
})

test('QuotaGate counts what it has started before anything is answered', async () => {
  const abort = new AbortController()
  const clock = { now: () => NOW, sleep: async () => abort.abort(new Error('would wait')) }
  const gate = new QuotaGate(clock, never)
  const first = await gate.enter('api', abort.signal)
  first.leave({ bucket: 'api', remaining: 5, resetSeconds: 60, quota: undefined })

  for (let n = 0; n < 3; n++) await gate.enter('api', abort.signal)

  await assert.rejects(gate.enter('api', abort.signal), /would wait/)
})

test('QuotaGate keeps the quotas of different routes apart', async () => {
  const gate = new QuotaGate(createVirtualClock(), never)
  const { signal } = new AbortController()
  await gate.enter('api', signal)

  const resolve = await gate.enter('resolve', signal)

  resolve.leave(undefined)
})

test('QuotaGate is bounded whatever quotas a Hub invents', async () => {
  const gate = new QuotaGate(createVirtualClock(), never)
  const { signal } = new AbortController()

  for (let n = 0; n < 100; n++) {
    const permit = await gate.enter(`route-${n}`, signal)
    permit.leave({ bucket: `b-${'x'.repeat(n % 30)}`, remaining: 900, resetSeconds: 1, quota: 1000 })
  }
})

/** A Hub with a fixed window, latencies of its own, and other users of the same quota. */
async function crawl(given: { quota: number; windowMs: number; requests: number; workers: number; others: number }) {
  const clock = createVirtualClock()
  const gate = new QuotaGate(clock, never)
  const { signal } = new AbortController()
  const used = new Map<number, number>()
  let refusals = 0
  let started = 0
  const worker = async (): Promise<void> => {
    while (started < given.requests) {
      const nth = started++
      const permit = await gate.enter('api', signal)
      // Counted when it arrives, answered later: answers overtake each other.
      const window = Math.floor(clock.now() / given.windowMs)
      const count = (used.get(window) ?? 0) + 1 + (nth % 50 < given.others ? 1 : 0)
      used.set(window, count)
      if (count > given.quota) refusals++
      const resetSeconds = Math.ceil(((window + 1) * given.windowMs - clock.now()) / 1000)
      await clock.sleep((nth * 7919) % 400, signal)
      permit.leave({ bucket: 'api', remaining: Math.max(0, given.quota - count), resetSeconds, quota: given.quota })
    }
  }
  await Promise.all(Array.from({ length: given.workers }, worker))
  return { refusals, windows: used.size }
}

test('QuotaGate crawls with many requests under way and never meets a refusal', async () => {
  for (const workers of [1, 4, 16]) {
    const result = await crawl({ quota: 100, windowMs: 30_000, requests: 600, workers, others: 0 })
    assert.equal(result.refusals, 0, `${workers} workers`)
    assert.ok(result.windows <= 8, `${result.windows} windows for 600 requests of 100 each`)
  }
})

test('QuotaGate leaves room for others who use the same quota', async () => {
  const result = await crawl({ quota: 500, windowMs: 300_000, requests: 1200, workers: 8, others: 10 })

  assert.equal(result.refusals, 0)
})

test('QuotaGate gets on with the smallest quota there can be', async () => {
  const result = await crawl({ quota: 1, windowMs: 2000, requests: 5, workers: 2, others: 0 })

  assert.equal(result.refusals, 0)
})
