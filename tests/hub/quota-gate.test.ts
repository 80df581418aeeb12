import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QuotaGate } from '../../src/hub/quota.ts'
import { createVirtualClock } from './support/virtual-clock.ts'

const NOW = 1_000_000
const never = () => undefined

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

/** Waits for nobody: a request that would have to wait is refused. */
function impatientGate() {
  const stop = new AbortController()
  const clock = { now: () => NOW, sleep: async () => stop.abort(new Error('would wait')) }
  const gate = new QuotaGate(clock, never)
  /** How many more of this kind may start now. */
  const startable = async (route: string): Promise<number> => {
    for (let count = 0; ; count++) {
      const isRefused = await gate.enter(route, stop.signal).then(
        () => false,
        () => true,
      )
      if (isRefused) return count
    }
  }
  return { gate, startable, signal: stop.signal }
}

const spare = (bucket: string, remaining: number) => ({ bucket, remaining, resetSeconds: 60, quota: undefined })

test('QuotaGate takes those off that a late reading cannot have counted, though they are over', async () => {
  const { gate, startable, signal } = impatientGate()
  const first = await gate.enter('api', signal)
  first.leave(spare('api', 99))
  const slow = await gate.enter('api', signal)
  for (let n = 0; n < 5; n++) (await gate.enter('api', signal)).leave('failed')

  slow.leave(spare('api', 20))

  assert.equal(await startable('api'), 20 - 5 - 2)
})

test('QuotaGate takes all others under way off a quota that a request was not asked for in', async () => {
  const { gate, startable, signal } = impatientGate()
  const other = await gate.enter('elsewhere', signal)
  const request = await gate.enter('api', signal)
  other.leave('failed')

  request.leave(spare('resolvers', 20))

  assert.equal(await startable('resolve'), 20 - 1 - 2)
})

test('QuotaGate lets waiting requests go as soon as an answer leaves more to them', async () => {
  const { signal } = new AbortController()
  const clock = { now: () => NOW, sleep: () => new Promise<void>(never) }
  const gate = new QuotaGate(clock, never)
  ;(await gate.enter('api', signal)).leave(spare('api', 6))
  const slow = await gate.enter('api', signal)
  for (let n = 0; n < 3; n++) await gate.enter('api', signal)
  const waiting = gate.enter('api', signal)

  slow.leave(spare('api', 100))

  await waiting
})

test('QuotaGate does not let an answer that was under way lift what a refusal asked for', async () => {
  const { gate, startable, signal } = impatientGate()
  ;(await gate.enter('api', signal)).leave(spare('api', 99))
  const refused = await gate.enter('api', signal)
  const slow = await gate.enter('api', signal)
  refused.leave(undefined)
  refused.block(NOW + 5000)

  slow.leave(spare('api', 90))

  assert.equal(await startable('api'), 0)
})

test('QuotaGate keeps a fifth for questions where file bytes are charged to the same quota', async () => {
  const { gate, startable, signal } = impatientGate()
  const bytes = await gate.enter('resolve-cache', signal)
  bytes.leave({ bucket: 'api', remaining: 500, resetSeconds: 60, quota: 500 })

  assert.equal(await startable('resolve-cache'), 500 - 100 - 50)
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
