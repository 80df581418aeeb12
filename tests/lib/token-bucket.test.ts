import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBucket } from '../../src/lib/token-bucket.ts'

/** A clock whose sleeps take no time but move it. */
function jumpingClock() {
  let nowMs = 1_000_000
  return {
    now: () => nowMs,
    sleep: async (ms: number, signal: AbortSignal) => {
      signal.throwIfAborted()
      nowMs += ms
    },
  }
}

test('TokenBucket gives no more than its rate and a quarter of a second of burst', async () => {
  const clock = jumpingClock()
  const bucket = new TokenBucket(clock, () => 1_000_000)
  const startMs = clock.now()

  for (let taken = 0; taken < 10_000_000; taken += 65_536) await bucket.take(65_536, new AbortController().signal)

  const seconds = (clock.now() - startMs) / 1000
  assert.ok(seconds >= 9.7 && seconds <= 10.2, `${seconds} s`)
})

test('TokenBucket does not save up what was not used', async () => {
  const clock = jumpingClock()
  const bucket = new TokenBucket(clock, () => 1_000_000)
  const { signal } = new AbortController()
  await bucket.take(1, signal)
  await clock.sleep(3_600_000, signal)
  const startMs = clock.now()

  await bucket.take(5_000_000, signal)

  assert.ok(clock.now() - startMs >= 4_700)
})

test('TokenBucket ends its wait when the signal aborts', async () => {
  const bucket = new TokenBucket(jumpingClock(), () => 10)
  const stop = new AbortController()
  stop.abort(new Error('stopped'))

  await assert.rejects(bucket.take(1_000_000, stop.signal), { message: 'stopped' })
})

test('TokenBucket does not wait for the length of a jump when the clock is set back', async () => {
  let nowMs = 1_000_000_000
  const waits: number[] = []
  const clock = {
    now: () => nowMs,
    sleep: async (ms: number) => {
      waits.push(ms)
      nowMs += ms
    },
  }
  const bucket = new TokenBucket(clock, () => 1_000_000)
  const { signal } = new AbortController()
  await bucket.take(1_000_000, signal)
  nowMs -= 86_400_000

  await bucket.take(1_000_000, signal)

  assert.ok(Math.max(...waits) < 3000, `${Math.max(...waits)} ms`)
})

test('TokenBucket holds whoever waits to another rate, and lets all go when there is none any more', async () => {
  const clock = jumpingClock()
  let rate: number | undefined = 1
  const bucket = new TokenBucket(clock, () => rate)
  const { signal } = new AbortController()
  const startMs = clock.now()

  const waiting = Array.from({ length: 20 }, () => bucket.take(1_000_000, signal))
  rate = 1_000_000
  await Promise.all(waiting.slice(0, 2))
  assert.ok(clock.now() - startMs < 60_000)
  rate = undefined
  await Promise.all(waiting)

  assert.ok(clock.now() - startMs < 60_000)
  assert.equal(bucket.isCapped, false)
})

test('TokenBucket sleeps no longer at once than a timer can', async () => {
  const clock = jumpingClock()
  let longestMs = 0
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    longestMs = Math.max(longestMs, ms)
    await clock.sleep(100 * ms, signal)
  }
  const bucket = new TokenBucket({ ...clock, sleep }, () => 10)

  await Promise.all(Array.from({ length: 16 }, () => bucket.take(1_000_000, new AbortController().signal)))

  assert.ok(longestMs < 2 ** 31, `${longestMs} ms`)
})

test('TokenBucket takes nothing as owed that passed without a cap', async () => {
  const clock = jumpingClock()
  let rate: number | undefined
  const bucket = new TokenBucket(clock, () => rate)
  const { signal } = new AbortController()
  const startMs = clock.now()
  await bucket.take(1e12, signal)
  assert.equal(clock.now(), startMs)

  rate = 1_000_000
  await bucket.take(1_000_000, signal)

  assert.ok(clock.now() - startMs <= 1001)
})
