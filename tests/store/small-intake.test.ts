import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ArchiveError } from '../../src/domain/errors.ts'
import type { ContentKey } from '../../src/domain/listing.ts'
import { IoChoice, systemIo } from '../../src/store/batch-io.ts'
import { FolderIntake } from '../../src/store/small-intake.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { until } from '../support/until.ts'
import { makeStore } from './store-fixture.ts'

const { signal } = new AbortController()

/** @param few contents before there is a thread; by default there is one from the first on */
async function openIntake(t: Parameters<typeof makeStore>[0], few = 0) {
  const { layout } = await makeStore(t)
  const intake = new FolderIntake({ layout, prepare: () => Promise.resolve(), settled: () => undefined }, few)
  const store = async (bytes: Buffer) => {
    using content = await intake.take(keyOf(bytes), bytes.length, signal)
    content.bytes.set(bytes)
    const [stored] = await intake.store([content])
    if (stored instanceof Error) throw stored
    return stored
  }
  return { layout, intake, store }
}

for (const [where, few, threads] of [
  ['by a thread', 0, 1],
  ['without one', 300, 0],
  ['without one at first', 64, 1],
] as const) {
  test(`contents that come at the same time are all published as they are, ${where}`, async (t) => {
    const { layout, intake, store } = await openIntake(t, few)
    const started = t.mock.fn()
    process.on('worker', started)
    t.after(() => process.off('worker', started))
    // More than the memory holds at once.
    const contents = Array.from({ length: 300 }, (_, at) => randomBytes(40_000 + at))

    const stored = await Promise.all(contents.map(store))

    await intake[Symbol.asyncDispose]()
    assert.deepEqual(
      stored,
      contents.map((bytes) => ({ digests: digestsOf(bytes), isPublished: true })),
    )
    for (const bytes of contents) assert.ok(readFileSync(layout.blob(digestsOf(bytes).sha256)).equals(bytes))
    assert.equal(started.mock.callCount(), threads)
  })
}

test('the thread starts at once when many are expected, and not for a few', async (t) => {
  const { intake } = await openIntake(t, 64)
  const started = t.mock.fn()
  process.on('worker', started)
  t.after(() => process.off('worker', started))

  using _one = await intake.take(keyOf(randomBytes(10)), 10, signal)
  intake.expect(63)
  await setImmediate()
  const before = started.mock.callCount()
  intake.expect(64)
  await until('a thread starts', () => started.mock.callCount() > 0)

  assert.deepEqual([before, started.mock.callCount()], [0, 1])
  await intake[Symbol.asyncDispose]()
})

test('the thread is asked only when nothing is under way without it', async (t) => {
  const { layout, intake } = await openIntake(t, 1)
  const [first, second] = [randomBytes(250_000), randomBytes(250_000)]
  const firstHasName: boolean[] = []
  // oxlint-disable-next-line typescript/unbound-method -- called with the worker it is of
  const ask = Worker.prototype.postMessage
  t.mock.method(Worker.prototype, 'postMessage', function (this: Worker, message: unknown) {
    firstHasName.push(existsSync(layout.blob(digestsOf(first).sha256)))
    ask.call(this, message)
  })
  const taken = async (bytes: Buffer) => {
    const content = await intake.take(keyOf(bytes), bytes.length, signal)
    content.bytes.set(bytes)
    return content
  }

  const storing = intake.store([await taken(first)])
  // It has begun, and needs many turns of the loop.
  await setImmediate()
  const stored = await Promise.all([storing, intake.store([await taken(second)])])

  await intake[Symbol.asyncDispose]()
  assert.ok(stored.flat().every((result) => 'isPublished' in result && result.isPublished))
  assert.deepEqual(firstHasName, [true])
})

test('what the disk says in the thread is said here: code, hint, details and cause', async (t) => {
  const { layout, intake, store } = await openIntake(t)
  rmSync(layout.partial, { recursive: true })
  writeFileSync(layout.partial, '')

  const error: unknown = await store(randomBytes(100)).catch((thrown: unknown) => thrown)

  await intake[Symbol.asyncDispose]()
  assert.ok(error instanceof ArchiveError)
  assert.equal(error.code, 'DISK_FAILED')
  assert.equal(error.details['errno'], 'ENOTDIR')
  assert.ok(error.hint !== undefined && error.hint.length > 0)
  assert.ok(error.cause instanceof Error && 'code' in error.cause && error.cause.code === 'ENOTDIR')
})

test('a thread that crashed fails what it was given, and another one takes its place', async (t) => {
  const { layout, intake, store } = await openIntake(t)
  const bytes = randomBytes(100)
  await store(randomBytes(100))

  // No caller of the store has such a key: the thread ends on it.
  using content = await intake.take('no key' as ContentKey, 1, signal)
  await assert.rejects(intake.store([content]), /the batch thread stopped/)
  const stored = await store(bytes)

  await intake[Symbol.asyncDispose]()
  assert.deepEqual(stored, { digests: digestsOf(bytes), isPublished: true })
  assert.ok(readFileSync(layout.blob(digestsOf(bytes).sha256)).equals(bytes))
})

test('slow calls go side by side from the next batch on, until they are quick again', async (t) => {
  const { layout } = await makeStore(t)
  let [nowMs, stepMs] = [0, 0]
  const choice = new IoChoice(() => (nowMs += stepMs))
  const isDirect = async (): Promise<boolean> => {
    const io = choice.next()
    if (io === systemIo) return false
    closeSync(await io.open(join(layout.root, 'weightvault.json'), 0, 0))
    return true
  }
  const batches = async (count: number): Promise<number> => {
    let direct = 0
    for (let nth = 0; nth < count; nth += 1) if (await isDirect()) direct += 1
    return direct
  }

  assert.equal(await batches(20), 20, 'quick')
  stepMs = 5
  assert.equal(await batches(1), 1, 'nobody knows yet')
  const tried = await batches(64)
  assert.ok(tried > 0 && tried < 8, 'slow, and tried now and then')
  stepMs = 0
  await batches(32)
  assert.equal(await batches(20), 20, 'quick again')
})
