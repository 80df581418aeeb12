import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/clock-port.ts'
import type { ByteSink } from '../../src/intake-port.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { TokenBucket } from '../../src/lib/token-bucket.ts'
import { PacedSink } from '../../src/pipeline/paced-sink.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

const { signal } = new AbortController()
const RATE = 1_000_000

/** A clock that moves, when everybody sleeps, to the first who wakes. */
function sharedClock(): Clock & { turn(): boolean } {
  let nowMs = 1_000_000
  const sleeping: { atMs: number; wake: () => void }[] = []
  return {
    now: () => nowMs,
    sleep: (ms) => new Promise<void>((resolve) => void sleeping.push({ atMs: nowMs + ms, wake: resolve })),
    turn() {
      sleeping.sort((a, b) => a.atMs - b.atMs)
      const next = sleeping.shift()
      if (next === undefined) return false
      nowMs = Math.max(nowMs, next.atMs)
      next.wake()
      return true
    },
  }
}

const endless: ByteSink = { view: () => new Uint8Array(65_536), filled: () => undefined, room: () => Promise.resolve() }

test('one cap holds for all connections together, exact within 5 %, whatever they take at once', async () => {
  const clock = sharedClock()
  const bucket = new TokenBucket(clock, () => RATE)
  let moved = 0
  const over = new AbortController()
  // Some as the socket gives them, one as a complete HTTP client does.
  const connection = async (chunk: number): Promise<void> => {
    const sink = new PacedSink(endless, bucket, (bytes) => void (moved += bytes))
    while (!over.signal.aborted) {
      const view = sink.view()
      if (view === undefined) await sink.room(signal)
      else sink.filled(Math.min(chunk, view.length))
    }
    sink.flush()
  }
  const startMs = clock.now()
  const running = [16_384, 65_536, 1_000, 40_000, 65_536].map(connection)
  while (clock.now() - startMs < 20_000) {
    await new Promise<void>((resolve) => setImmediate(resolve))
    clock.turn()
  }
  const seconds = (clock.now() - startMs) / 1000
  over.abort()
  while (clock.turn()) await new Promise<void>((resolve) => setImmediate(resolve))
  await Promise.all(running)

  assert.ok(moved / seconds > 0.95 * RATE && moved / seconds < 1.05 * RATE, `${moved / seconds} bytes a second`)
})

test('without a cap nothing waits, and reports are few and complete', () => {
  const reports: number[] = []
  const sink = new PacedSink(
    endless,
    new TokenBucket(systemClock, () => undefined),
    (bytes) => void reports.push(bytes),
  )

  for (let taken = 0; taken < 100; taken += 1) {
    assert.notEqual(sink.view(), undefined)
    sink.filled(16_384)
  }
  sink.flush()
  sink.flush()

  assert.equal(
    reports.reduce((sum, bytes) => sum + bytes, 0),
    100 * 16_384,
  )
  assert.ok(reports.length < 10)
})

test('how long bytes waited for room is told, without what the cap took', async (t) => {
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const pass = (ms: number): Promise<void> => {
    nowMs += ms
    return Promise.resolve()
  }
  const bucket = { isCapped: true, take: () => pass(1000) } as unknown as TokenBucket
  const held: number[] = []
  const sink = new PacedSink(
    { ...endless, room: () => pass(30) },
    bucket,
    () => undefined,
    (ms) => void held.push(ms),
  )

  sink.filled(10)
  await sink.room(signal)

  assert.deepEqual(held, [30])
})

/** Moved bytes of a vault. */
function countMoved(vault: TestVault): { bytes: number } {
  const moved = { bytes: 0 }
  vault.progress.moved = (_file?: unknown, bytes = 0): void => void (moved.bytes += bytes)
  return moved
}

test('a cap that is set while a file is on its way holds for the rest of it', async () => {
  const size = 40_000_000
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('large', size), lfs: true }] })
  await using vault = await TestVault.open(hub)
  const settings: { rateBytesPerSecond: number | undefined } = vault.archive.settings
  const moved = countMoved(vault)

  const running = vault.sync()
  await hub.whenRequested(({ origin }) => origin === 'cdn')
  assert.equal(settings.rateBytesPerSecond, undefined)
  settings.rateBytesPerSecond = 30_000_000
  const [left, startMs] = [size - moved.bytes, performance.now()]
  const { sealed } = await running

  assert.equal(sealed.length, 1)
  // Of what was not told yet a part had come.
  const leastMs = ((left - 4_000_000) / 30_000_000) * 1000 - 250
  assert.ok(performance.now() - startMs > leastMs, `${left} bytes in less than ${leastMs} ms`)
})

test('a cap that is taken away frees whoever waits for it', async () => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('large', 4_000_000), lfs: true }] })
  await using vault = await TestVault.open(hub)
  const settings: { rateBytesPerSecond: number | undefined } = vault.archive.settings
  settings.rateBytesPerSecond = 1

  const running = vault.sync()
  await hub.whenRequested(({ origin }) => origin === 'cdn')
  settings.rateBytesPerSecond = undefined
  const { sealed } = await running

  assert.equal(sealed.length, 1)
})
