import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { crc32 } from 'node:zlib'
import type { BlobStore } from '../../src/blob-port.ts'
import type { PartialFile, PartialRange } from '../../src/intake-port.ts'
import { BLOCK_BYTES, type Block, BlockMemory } from '../../src/lib/block-memory.ts'
import { type FileFollower, HashPool } from '../../src/lib/hash-files.ts'
import { BlockHasher } from '../../src/store/block-hasher.ts'
import { BlockMap } from '../../src/store/block-map.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { until } from '../hub/support/until.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { SILENT, temporaryFolder } from './store-fixture.ts'

const MIB = 1024 * 1024

async function makeLargeStore(
  t: TestContext,
  sequential = false,
): Promise<{ store: BlobStore; pool: HashPool; layout: Layout; reopen: () => BlobStore }> {
  const root = join(temporaryFolder(t), 'archive')
  const pool = new HashPool()
  t.after(() => pool.close())
  const { archiveId } = await openArchiveFolder(root, { create: true })
  const reopen = (): BlobStore => createBlobStore({ root, archiveId, hashPool: pool, log: SILENT, sequential })
  return { store: reopen(), pool, layout: new Layout(root), reopen }
}

/** Fills a range up to `end`, as a connection does, in steps that fit no block. */
async function fill(range: PartialRange, bytes: Buffer, t: TestContext, end = range.end): Promise<void> {
  while (range.position < end) {
    const view = range.view()
    if (view === undefined) {
      await range.room(t.signal)
      continue
    }
    const count = Math.min(view.length, 100_003, end - range.position)
    range.filled(bytes.copy(view, 0, range.position, range.position + count))
  }
}

/** Several connections at once, each taking the next range when it is done. */
async function fillWith(connections: number, partial: PartialFile, bytes: Buffer, t: TestContext): Promise<void> {
  const connection = async (): Promise<void> => {
    for (let range = await partial.claim(4 * MIB, t.signal); range !== undefined;) {
      await fill(range, bytes, t)
      range.release()
      range = await partial.claim(4 * MIB, t.signal)
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
}

/** Every block of the shared memory is free again. */
function assertAllFree(pool: HashPool): void {
  const blocks: Block[] = []
  for (let block = pool.memory.take(); block !== undefined; block = pool.memory.take()) blocks.push(block)
  assert.equal(blocks.length, pool.memory.buffer.byteLength / BLOCK_BYTES)
  for (const block of blocks) pool.memory.giveBack(block)
}

for (const connections of [1, 3, 20]) {
  test(`what ${connections} connections fill is in the file as it is hashed, with its block checks`, async (t) => {
    const { store, pool, layout } = await makeLargeStore(t)
    const bytes = randomBytes(50 * MIB + 12_345)
    const expected = { ...digestsOf(bytes), gitOid: undefined }
    {
      await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
      await fillWith(connections, partial, bytes, t)
      const digests = await partial.finish(t.signal)
      assert.deepEqual(digests, expected)
      await store.publish(keyOf(bytes), digests, t.signal)
    }

    // Read by plain node:fs, hashed apart from the pool.
    const onDisk = readFileSync(layout.blob(expected.sha256))
    assert.equal(createHash('sha256').update(onDisk).digest('hex'), expected.sha256)
    const checks = await store.blockChecks(expected.sha256)
    assert.equal(checks?.blockBytes, MIB)
    const crcs = Array.from({ length: 51 }, (_, index) => crc32(bytes.subarray(index * MIB, (index + 1) * MIB)))
    assert.deepEqual([...(checks?.crcs ?? [])], crcs)
    await until(() => (assertAllFree(pool), true))
  })
}

test('files that arrive side by side are made durable one after the other meanwhile', async (t) => {
  const { store, layout } = await makeLargeStore(t)
  await using any = await open(layout.root)
  const running = { now: 0, most: 0, all: 0 }
  t.mock.method(Object.getPrototypeOf(any) as FileHandle, 'datasync', async () => {
    running.now += 1
    running.all += 1
    running.most = Math.max(running.most, running.now)
    await new Promise<void>((resolve) => setImmediate(resolve))
    running.now -= 1
  })

  await using partials = new AsyncDisposableStack()
  const arrive = async (): Promise<void> => {
    const bytes = randomBytes(20 * MIB)
    await fillWith(1, partials.use(await store.openPartial(keyOf(bytes), bytes.length, t.signal)), bytes, t)
  }
  await Promise.all([arrive(), arrive(), arrive()])

  assert.equal(running.most, 1)
  assert.ok(running.all > 1, `${running.all} syncs`)
})

test('connections that stop half way leave what they had; a restart fetches the rest only', async (t) => {
  const { store, reopen } = await makeLargeStore(t)
  const bytes = randomBytes(20 * MIB + 5)
  {
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    const ranges = [1, 2, 3].map(() => partial.claim(4 * MIB, t.signal))
    const ends = [MIB + 7, 8 * MIB, 8 * MIB + 3 * MIB + 99]
    for (const [index, range] of (await Promise.all(ranges)).entries()) {
      await fill(range!, bytes, t, ends[index])
      range!.release()
    }
  }

  await using partial = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)
  const wanted: [number, number][] = []
  for (let range = await partial.claim(64 * MIB, t.signal); range !== undefined;) {
    wanted.push([range.start, range.end])
    await fill(range, bytes, t)
    range.release()
    range = await partial.claim(64 * MIB, t.signal)
  }

  assert.deepEqual(wanted, [
    [MIB + 7, 4 * MIB],
    [8 * MIB + 3 * MIB + 99, bytes.length],
  ])
  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
})

test('a range that is given back is claimed again where it stopped, in memory', async (t) => {
  const { store } = await makeLargeStore(t)
  const bytes = randomBytes(9 * MIB)
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  const first = await partial.claim(4 * MIB, t.signal)
  await fill(first!, bytes, t, 2 * MIB + 12_345)
  first!.release()

  const again = await partial.claim(4 * MIB, t.signal)

  assert.deepEqual([again?.start, again?.end], [2 * MIB + 12_345, 6 * MIB])
  await fill(again!, bytes, t)
  again!.release()
  await fillWith(1, partial, bytes, t)
  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
})

test('a sequential store gives one range at a time and writes what it gives', async (t) => {
  const { store, layout } = await makeLargeStore(t, true)
  const bytes = randomBytes(9 * MIB + 1)
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)

  assert.equal(partial.maxRanges, 1)
  await fillWith(1, partial, bytes, t)
  await store.publish(keyOf(bytes), await partial.finish(t.signal), t.signal)

  assert.deepEqual(readFileSync(layout.blob(digestsOf(bytes).sha256)), bytes)
})

test('memory is given back only when its own write has ended and no hash reads it, whatever the order', async (t) => {
  const { pool, layout } = await makeLargeStore(t)
  const path = join(layout.root, 'weightvault.json')
  const bytes = randomBytes(3 * MIB)
  const blocks = new BlockMap(bytes.length, MIB)
  const hasher = new BlockHasher({ pool, path, blocks, withGitOid: false, fromMemory: true })
  const filled = [0, 1, 2].map((index) => {
    const block = pool.memory.take()!
    block.bytes.set(bytes.subarray(index * MIB, (index + 1) * MIB))
    return { index, start: index * MIB, block, length: MIB, crc: 0, carriedBytes: MIB }
  })
  const given: number[] = []
  const giveBack = pool.memory.giveBack.bind(pool.memory)
  pool.memory.giveBack = (block) => {
    given.push(filled.findIndex((each) => each.block === block))
    giveBack(block)
  }

  // Written but not hashed: its turn has not come.
  hasher.offer(filled[1]!)
  hasher.wrote(1)
  assert.deepEqual(given, [])
  // Hashed but not written.
  hasher.offer(filled[0]!)
  hasher.offer(filled[2]!)
  await until(() => given.length === 1)
  assert.deepEqual(given, [1])
  const digests = await hasher.digests(t.signal)
  assert.deepEqual(given, [1], 'two writes are still under way')
  hasher.wrote(2)
  hasher.wrote(0)
  assert.deepEqual(given, [1, 2, 0])
  assert.equal(digests.sha256, digestsOf(bytes).sha256)
  hasher.close()
})

test('while old bytes are read from the file, half as many new ones may be left to be read, too', async (t) => {
  const [oldBlocks, inMemory] = [80, 24]
  const memory = new BlockMemory(inMemory)
  const reads: { to: number; end: () => void }[] = []
  const follower = {
    readTo: (to: number) => new Promise<void>((end) => void reads.push({ to, end })),
    close: () => undefined,
  } as unknown as FileFollower
  const pool = { memory, follow: () => follower } as unknown as HashPool
  const arrived = new Map(Array.from({ length: oldBlocks }, (_, index) => [index, { length: MIB, crc: 0 }]))
  const blocks = new BlockMap(200 * MIB, MIB, arrived)
  const hasher = new BlockHasher({ pool, path: '', blocks, withGitOid: false, fromMemory: true })
  let index = oldBlocks
  const arrive = (): boolean => {
    const block = memory.take()
    if (block === undefined) return false
    hasher.offer({ index, start: index * MIB, block, length: MIB, crc: 0, carriedBytes: 0 })
    hasher.wrote(index++)
    return true
  }

  while (arrive());
  assert.equal(index - oldBlocks, inMemory, 'nothing was read yet: the next ones wait')
  assert.equal(reads[0]?.to, 32 * MIB)
  // Nobody but the one who reads wakes those who wait.
  const arriveUntil = (count: number): Promise<void> =>
    memory.until(() => {
      while (arrive());
      return index - oldBlocks >= count
    }, t.signal)
  const isReadOn = arriveUntil(inMemory + 16)
  reads[0].end()
  await isReadOn
  assert.deepEqual([index - oldBlocks, reads.length], [inMemory + 16, 2])
  reads[1]?.end()
  await until(() => reads.length === 3)
  while (arrive());
  assert.equal(index - oldBlocks, inMemory + 32)
  hasher.close()
})

/** From now on nothing that is written is noted, until this is disposed of. */
async function holdNotes(t: TestContext, layout: Layout): Promise<Disposable> {
  await using any = await open(layout.root)
  const gate = Promise.withResolvers<void>()
  const prototype = Object.getPrototypeOf(any) as FileHandle
  const write = Reflect.get(prototype, 'write') as (...args: unknown[]) => Promise<unknown>
  t.mock.method(prototype, 'write', async function (this: FileHandle, ...args: unknown[]) {
    await gate.promise
    return Reflect.apply(write, this, args)
  })
  return { [Symbol.dispose]: gate.resolve }
}

/** Fills as far as there is room, and says how far that was. */
function fillRoom(range: PartialRange, bytes: Buffer): number {
  const start = range.position
  while (range.position < range.end) {
    const view = range.view()
    if (view === undefined) break
    range.filled(bytes.copy(view, 0, range.position, Math.min(range.position + 100_003, range.end)))
  }
  return range.position - start
}

/** What a kill may cost a connection, without what its reader may hold. */
const MOST_OF_ONE = 4 * MIB - 256 * 1024

test('a kill costs at most a piece of what came over one connection, also when others ended and new ones start', async (t) => {
  const { store, layout } = await makeLargeStore(t)
  const bytes = randomBytes(40 * MIB)
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  const claim = async (before?: PartialRange): Promise<PartialRange> => {
    const range = await partial.claim(4 * MIB, t.signal)
    assert.ok(range !== undefined)
    if (before !== undefined) range.follows(before)
    return range
  }
  using held = await holdNotes(t, layout)

  // Three connections, each with a range and the one it fetches next; one brings nothing.
  const [first, second, third] = [await claim(), await claim(), await claim()]
  const [afterFirst, afterSecond] = [await claim(first), await claim(second)]
  await claim(third)
  const ofFirst = fillRoom(first, bytes) + fillRoom(afterFirst, bytes)
  assert.equal(ofFirst, MOST_OF_ONE)
  assert.equal(fillRoom(second, bytes), MOST_OF_ONE)
  // It ends: what it brought is still on its way.
  afterSecond.release()
  second.release()
  assert.equal(fillRoom(first, bytes), 0)

  // The next range may come over the connection that is free now.
  const next = await claim()
  assert.equal(fillRoom(next, bytes), 0)
  held[Symbol.dispose]()
  await fill(next, bytes, t)
  await fill(first, bytes, t)
})

test('a range of another file waits for what its connection may have brought before', async (t) => {
  const { store, layout } = await makeLargeStore(t)
  const [one, other] = [randomBytes(8 * MIB), randomBytes(8 * MIB)]
  await using oneFile = await store.openPartial(keyOf(one), one.length, t.signal)
  await using otherFile = await store.openPartial(keyOf(other), other.length, t.signal)
  using held = await holdNotes(t, layout)
  const [begun, ended] = [await otherFile.claim(4 * MIB, t.signal), await oneFile.claim(2 * MIB, t.signal)]
  assert.equal(fillRoom(begun!, other), MOST_OF_ONE)
  assert.equal(fillRoom(ended!, one), 2 * MIB)
  ended!.release()

  const waiting = await otherFile.claim(4 * MIB, t.signal)

  assert.equal(fillRoom(waiting!, other), 0)
  held[Symbol.dispose]()
  await fill(waiting!, other, t)
})

test('a block that was begun and left is gone on with, and what is there of it is written over nothing', async (t) => {
  const { store, layout } = await makeLargeStore(t)
  const bytes = randomBytes(12 * MIB)
  const wrong = randomBytes(12 * MIB)
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  const [first, second] = [await partial.claim(4 * MIB, t.signal), await partial.claim(4 * MIB, t.signal)]
  await fill(first!, bytes, t, 2 * MIB + 12_345)
  await fill(second!, wrong, t, 4 * MIB + 54_321)
  first!.release()
  second!.release()

  const starts: number[] = []
  for (let range = await partial.claim(8 * MIB, t.signal); range !== undefined;) {
    starts.push(range.start)
    await fill(range, bytes, t)
    range.release()
    range = await partial.claim(8 * MIB, t.signal)
  }

  assert.deepEqual(starts, [2 * MIB + 12_345, 4 * MIB + 54_321])
  const digests = await partial.finish(t.signal)
  assert.deepEqual(
    createHash('sha256')
      .update(readFileSync(layout.partialFile(keyOf(bytes))))
      .digest('hex'),
    digests.sha256,
  )
})
