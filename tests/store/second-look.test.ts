import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { HashPool } from '../../src/lib/hash-files.ts'
import type { BlobStore } from '../../src/blob-port.ts'
import type { PartialFile, RangeSource } from '../../src/intake-port.ts'
import { BLOCK_BYTES, type Block } from '../../src/lib/block-memory.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { parseJournal, PieceJournal } from '../../src/store/piece-journal.ts'
import { until } from '../support/until.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { NOTE } from '../contracts/blob-store.contract.ts'
import { PIECE_BYTES, SILENT, temporaryFolder } from './store-fixture.ts'

const SIZE = 11 * PIECE_BYTES + 100

interface Scene {
  readonly store: BlobStore
  readonly pool: HashPool
  readonly layout: Layout
  reopen: () => BlobStore
}

async function makeScene(t: TestContext): Promise<Scene> {
  const root = join(temporaryFolder(t), 'archive')
  const pool = new HashPool()
  t.after(() => pool.close())
  const { archiveId } = await openArchiveFolder(root, { create: true })
  const reopen = (): BlobStore =>
    createBlobStore({ root, archiveId, pieceBytes: PIECE_BYTES, hashPool: pool, log: SILENT })
  return { store: reopen(), pool, layout: new Layout(root), reopen }
}

/** The bytes with a bit of these blocks flipped. */
function flipped(bytes: Buffer, ...blocks: readonly number[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const block of blocks) copy[block * PIECE_BYTES + 5]! ^= 1
  return copy
}

/** Fetches what is handed out, as it comes this time, at most so many ranges. Returns their starts, in blocks. */
async function fetchFrom(ranges: RangeSource, bytes: Buffer, t: TestContext, most = Infinity): Promise<number[]> {
  const starts: number[] = []
  while (starts.length < most) {
    const range = await ranges.claim(PIECE_BYTES, t.signal)
    if (range === undefined) break
    starts.push(range.start / PIECE_BYTES)
    while (range.position < range.end) {
      await range.room(t.signal)
      const view = range.view()
      if (view !== undefined) range.filled(bytes.copy(view, 0, range.position, range.position + view.length))
    }
    range.release()
  }
  return starts
}

/** A finished file that came wrongly. */
async function openWrong(store: BlobStore, bytes: Buffer, arrived: Buffer, t: TestContext): Promise<PartialFile> {
  const partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  await fetchFrom(partial, arrived, t)
  assert.deepEqual((await partial.finish(t.signal)).sha256, digestsOf(arrived).sha256)
  return partial
}

/** Every block of the shared memory is free again. */
async function assertAllFree(pool: HashPool): Promise<void> {
  const all = pool.memory.buffer.byteLength / BLOCK_BYTES
  await until('all memory is given back', () => {
    const blocks: Block[] = []
    for (let block = pool.memory.take(); block !== undefined; block = pool.memory.take()) blocks.push(block)
    for (const block of blocks) pool.memory.giveBack(block)
    return blocks.length === all
  })
}

test('the block that came wrongly is found in order, comes three times, and alone is written again', async (t) => {
  const { store, pool, layout } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 3), t)
  const path = layout.partialFile(keyOf(bytes))
  const before = lstatSync(path, { bigint: true })

  const look = partial.lookAgain()
  assert.deepEqual(
    await fetchFrom(look, bytes, t),
    [0, 1, 2, 3, 3],
    'nothing is asked for after what is to be replaced',
  )
  assert.deepEqual([look.isWaiting, look.isOver, look.differed], [true, false, [3 * PIECE_BYTES]])
  const compared = lstatSync(path, { bigint: true })
  assert.deepEqual([compared.mtimeNs, compared.mode], [before.mtimeNs, before.mode], 'comparing writes nothing')
  assert.equal(await look.mend(t.signal), 1)

  const digests = await partial.finish(t.signal)
  assert.equal(digests.sha256, digestsOf(bytes).sha256)
  await store.publish(keyOf(bytes), digests, t.signal)
  assert.deepEqual(readFileSync(layout.blob(digests.sha256)), bytes)
  assert.equal(lstatSync(layout.blob(digests.sha256)).mode & 0o777, 0o440)
  await assertAllFree(pool)
})

test('a block that came rightly the first time is left as it is when it comes wrongly the second', async (t) => {
  const { store } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 7), t)

  const look = partial.lookAgain()
  assert.deepEqual(await fetchFrom(look, flipped(bytes, 2), t, 3), [0, 1, 2])
  assert.deepEqual(await fetchFrom(look, bytes, t), [2, 3, 4, 5, 6, 7, 7])
  assert.deepEqual(look.differed, [2 * PIECE_BYTES, 7 * PIECE_BYTES])
  assert.equal(await look.mend(t.signal), 1)

  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
})

test('the same bytes twice are the end of a look, and nothing is mended', async (t) => {
  const { store, pool } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 4, 9), t)

  const look = partial.lookAgain()
  assert.equal((await fetchFrom(look, flipped(bytes, 4, 9), t)).length, 12)

  assert.deepEqual([look.isOver, look.isUndecided, look.differed], [true, false, []])
  assert.equal(await look.mend(t.signal), 0)
  await assertAllFree(pool)
})

test('a block that comes in another way each time is asked for three times and ends the look', async (t) => {
  const { store, pool } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 0), t)

  const look = partial.lookAgain()
  for (const _ of [1, 2]) assert.deepEqual(await fetchFrom(look, randomBytes(SIZE), t, 1), [0])
  assert.equal(look.isOver, false)
  assert.deepEqual(await fetchFrom(look, randomBytes(SIZE), t, 1), [0])

  assert.deepEqual([look.isOver, look.isUndecided, await look.claim(PIECE_BYTES, t.signal)], [true, true, undefined])
  assert.equal(await look.mend(t.signal), 0)
  await assertAllFree(pool)
})

test('a connection that breaks in a block of a look leaves nothing behind', async (t) => {
  const { store, pool } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 1), t)

  const look = partial.lookAgain()
  const range = await look.claim(3 * PIECE_BYTES, t.signal)
  await range!.room(t.signal)
  range!.filled(bytes.copy(range!.view()!, 0, 0, 1000))
  range!.release()

  await assertAllFree(pool)
  assert.equal(look.heldBytes, 0)
  assert.deepEqual(await fetchFrom(look, bytes, t), [0, 1, 1])
})

test('more blocks than are kept in memory are replaced a few at a time', async (t) => {
  const { store } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  const all = Array.from({ length: 11 }, (_, index) => index)
  await using partial = await openWrong(store, bytes, flipped(bytes, ...all), t)

  const look = partial.lookAgain()
  // All in flight together: what is found wrong meanwhile is more than is kept.
  const ranges = await Promise.all(all.map(() => look.claim(PIECE_BYTES, t.signal)))
  const again = { claim: async () => ranges.shift(), maxRanges: 1, heldBytes: 0 }
  await fetchFrom(again, bytes, t)
  ranges.push(...(await Promise.all(all.map(() => look.claim(PIECE_BYTES, t.signal)))))
  await fetchFrom(again, bytes, t)
  assert.equal(await look.mend(t.signal), 8)
  assert.equal(look.isOver, false)
  const replaced: number[] = []
  while (!look.isOver) {
    await fetchFrom(look, bytes, t)
    replaced.push(await look.mend(t.signal))
  }

  assert.deepEqual(replaced, [1, 1, 1, 0])
  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
})

test('a stop while a block is replaced leaves it missing, and only it is fetched', async (t) => {
  const { store, reopen } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  {
    await using partial = await openWrong(store, bytes, flipped(bytes, 6), t)
    const look = partial.lookAgain()
    await fetchFrom(look, bytes, t)
    await assert.rejects(look.mend(AbortSignal.abort(new Error('stopped'))), /stopped/)
  }

  await using partial = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)
  assert.deepEqual(await fetchFrom(partial, bytes, t), [6])
  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
})

for (const how of ['closed', 'killed']) {
  test(`a look that is ${how} goes on where it was: what came twice alike does not come again`, async (t) => {
    const { store, layout, reopen } = await makeScene(t)
    const bytes = randomBytes(SIZE)
    const wrong = flipped(bytes, 9)
    const first = await openWrong(store, bytes, wrong, t)
    const linesBefore = readFileSync(layout.pieceJournal(keyOf(bytes)), 'utf8').split('\n').length
    assert.deepEqual(await fetchFrom(first.lookAgain(), bytes, t, 5), [0, 1, 2, 3, 4])
    if (how === 'closed') await first[Symbol.asyncDispose]()
    else t.after(() => first[Symbol.asyncDispose]())
    await until('it is written down', () => {
      return readFileSync(layout.pieceJournal(keyOf(bytes)), 'utf8').split('\n').length === linesBefore + 5
    })

    // Opened twice: what is written down outlives more than one stop.
    await using _ = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)
    await using partial = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)
    assert.equal((await partial.finish(t.signal)).sha256, digestsOf(wrong).sha256)
    const look = partial.lookAgain()
    assert.equal(look.heldBytes, 5 * PIECE_BYTES)
    assert.deepEqual(await fetchFrom(look, bytes, t), [5, 6, 7, 8, 9, 9])
    await look.mend(t.signal)

    assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
  })
}

test('what came twice before a stop is compared, too, when that is asked for', async (t) => {
  const { store, reopen } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  const wrong = flipped(bytes, 2)
  {
    await using first = await openWrong(store, bytes, wrong, t)
    const look = first.lookAgain()
    assert.deepEqual(await fetchFrom(look, wrong, t, 5), [0, 1, 2, 3, 4])
    await look.mend(t.signal)
  }
  await using partial = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)
  await partial.finish(t.signal)
  const look = partial.lookAgain()
  await fetchFrom(look, bytes, t)
  assert.ok(look.isOver)

  assert.ok(look.compareCarried())
  assert.deepEqual(await fetchFrom(look, bytes, t), [0, 1, 2, 2])
  assert.equal(await look.mend(t.signal), 1)

  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
  assert.equal(look.compareCarried(), false, 'each once')
})

test('what cannot be written down of a look is told', async (t) => {
  const { store } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 9), t)
  t.mock.method(PieceJournal.prototype, 'append', () =>
    Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC', errno: -28, syscall: 'write' })),
  )

  const look = partial.lookAgain()
  await fetchFrom(look, bytes, t, 1)
  await assert.rejects(look.mend(t.signal), { code: 'DISK_FULL' })
  await assert.rejects(look.claim(PIECE_BYTES, t.signal), { code: 'DISK_FULL' })
})

test('what was found before a block was replaced counts no more', async (t) => {
  const { store } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  const wrong = flipped(bytes, 6, 8)
  await using partial = await openWrong(store, bytes, wrong, t)
  const look = partial.lookAgain()
  await fetchFrom(look, bytes, t)
  await look.mend(t.signal)

  await assert.rejects(
    store.publish(keyOf(bytes), { ...digestsOf(wrong), gitOid: undefined }, t.signal),
    /was finished before it is published/,
  )
})

test('a look never writes to a file that has a second name: it begins anew', async (t) => {
  const { store, layout } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  const wrong = flipped(bytes, 2)
  await using partial = await openWrong(store, bytes, wrong, t)
  const other = join(layout.root, 'other-name')
  linkSync(layout.partialFile(keyOf(bytes)), other)

  const look = partial.lookAgain()
  await fetchFrom(look, bytes, t)
  await look.mend(t.signal)
  assert.equal(partial.heldBytes, 0)
  await fetchFrom(partial, bytes, t)

  assert.equal((await partial.finish(t.signal)).sha256, digestsOf(bytes).sha256)
  assert.deepEqual(readFileSync(other), wrong)
})

test('what another process took over meanwhile is not written to', async (t) => {
  const { store, reopen } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  await using partial = await openWrong(store, bytes, flipped(bytes, 2), t)
  const look = partial.lookAgain()
  await fetchFrom(look, bytes, t)
  await using _ = await reopen().openPartial(keyOf(bytes), bytes.length, t.signal)

  await assert.rejects(look.mend(t.signal), { code: 'ARCHIVE_LOCKED' })
})

test('isQuarantined knows bytes by what was promised and what came, and only while they are kept', async (t) => {
  const { store } = await makeScene(t)
  const bytes = randomBytes(SIZE)
  const wrong = flipped(bytes, 2)
  const digests = { ...digestsOf(wrong), gitOid: undefined }
  assert.equal(await store.isQuarantined(keyOf(bytes), digests), false)
  await using partial = await openWrong(store, bytes, wrong, t)
  const note = { ...NOTE, expected: keyOf(bytes), actual: digests.sha256, size: SIZE }
  await store.quarantinePartial(keyOf(bytes), note, t.signal)

  assert.equal(await store.isQuarantined(keyOf(bytes), digests), true)
  assert.equal(await store.isQuarantined(keyOf(wrong), digests), false)
  assert.equal(await store.isQuarantined(keyOf(bytes), digestsOf(flipped(bytes, 3))), false)
  assert.equal(partial.heldBytes, SIZE)
})

test('only the same line twice says that a block came so twice', () => {
  const key = keyOf(Buffer.from('any'))
  const head = `weightvault-pieces/2 ${key} 20 10\n`
  const read = (lines: string): unknown => parseJournal(head + lines, key, 20)?.arrived.get(0)

  assert.deepEqual(read('0 10 0000000a\n'), { length: 10, crc: 10, isConfirmed: false })
  assert.deepEqual(read('0 10 0000000b\n0 10 0000000a\n'), { length: 10, crc: 10, isConfirmed: false })
  assert.deepEqual(read('0 9 0000000a\n0 10 0000000a\n'), { length: 10, crc: 10, isConfirmed: false })
  assert.deepEqual(read('0 10 0000000a\n1 10 0000000c\n0 10 0000000a\n'), { length: 10, crc: 10, isConfirmed: true })
  assert.deepEqual(read('0 10 0000000a\n0 10 0000000a\n0 10 0000000b\n'), { length: 10, crc: 11, isConfirmed: false })
})
