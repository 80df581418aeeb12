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
  const bucket = new TokenBucket(clock, 1_000_000)
  const startMs = clock.now()

  for (let taken = 0; taken < 10_000_000; taken += 65_536) await bucket.take(65_536, new AbortController().signal)

  const seconds = (clock.now() - startMs) / 1000
  assert.ok(seconds >= 9.7 && seconds <= 10.2, `${seconds} s`)
})

test('TokenBucket does not save up what was not used', async () => {
  const clock = jumpingClock()
  const bucket = new TokenBucket(clock, 1_000_000)
  const { signal } = new AbortController()
  await bucket.take(1, signal)
  await clock.sleep(3_600_000, signal)
  const startMs = clock.now()

  await bucket.take(5_000_000, signal)

  assert.ok(clock.now() - startMs >= 4_700)
})

test('TokenBucket ends its wait when the signal aborts', async () => {
  const bucket = new TokenBucket(jumpingClock(), 10)
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
  const bucket = new TokenBucket(clock, 1_000_000)
  const { signal } = new AbortController()
  await bucket.take(1_000_000, signal)
  nowMs -= 86_400_000

  await bucket.take(1_000_000, signal)

  assert.ok(Math.max(...waits) < 3000, `${Math.max(...waits)} ms`)
})
