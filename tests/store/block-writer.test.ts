import assert from 'node:assert/strict'
import type { FileHandle } from 'node:fs/promises'
import { test } from 'node:test'
import { BlockWriter, type BlockWriterOptions } from '../../src/store/block-writer.ts'
import type { DirectFile } from '../../src/store/direct-file.ts'
import type { PieceJournal } from '../../src/store/piece-journal.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024

/** A writer over a disk that only counts: what it was given, and how much of that a power cut may take. */
function countingWriter(options: Partial<BlockWriterOptions> = {}): {
  writer: BlockWriter
  disk: { written: number; atRisk: number; most: number }
} {
  const disk = { written: 0, atRisk: 0, most: 0 }
  const handle = { datasync: () => Promise.resolve().then(() => void (disk.atRisk = 0)) }
  const file = {
    write: (buffers: readonly Uint8Array[]) => {
      for (const { length } of buffers) {
        disk.written += length
        disk.atRisk += length
      }
      disk.most = Math.max(disk.most, disk.atRisk)
      return Promise.resolve()
    },
  }
  const journal = { append: () => Promise.resolve(), sync: () => Promise.resolve() }
  const writer = new BlockWriter({
    handle: handle as unknown as FileHandle,
    file: file as unknown as DirectFile,
    journal: journal as unknown as PieceJournal,
    alone: (write) => write(),
    syncAlone: (sync) => sync(),
    syncName: () => Promise.resolve(),
    assertOurs: () => Promise.resolve(),
    connections: () => 2,
    isWhole: () => false,
    onWritten: () => undefined,
    onNoted: () => undefined,
    onDropped: () => undefined,
    onFailure: () => assert.fail('nothing fails here'),
    ...options,
  })
  return { writer, disk }
}

function addBlock(writer: BlockWriter, index: number): void {
  const block = { offset: 0, bytes: new Uint8Array(MIB) }
  writer.add({ index, start: index * MIB, block, length: MIB, crc: 0, carriedBytes: MIB })
}

/** A journal whose lines are written when the test says so. */
function heldJournal(): {
  journal: PieceJournal
  appends: { indexes: number[]; settle: PromiseWithResolvers<void> }[]
} {
  const appends: { indexes: number[]; settle: PromiseWithResolvers<void> }[] = []
  const append: PieceJournal['append'] = (lines) => {
    const settle = Promise.withResolvers<void>()
    appends.push({ indexes: Array.from(lines, ([index]) => index), settle })
    return settle.promise
  }
  return { journal: { append, sync: () => Promise.resolve() } as unknown as PieceJournal, appends }
}

test('blocks are written while others are noted, and a kill would lose them until they are', async () => {
  const { journal, appends } = heldJournal()
  const noted: number[][] = []
  const onNoted: BlockWriterOptions['onNoted'] = (blocks) => void noted.push(blocks.map(({ index }) => index))
  const { writer, disk } = countingWriter({ journal, onNoted })

  for (let index = 0; index < 6; index += 1) {
    addBlock(writer, index)
    await until('the block is written', () => disk.written === (index + 1) * MIB)
  }
  assert.deepEqual(noted, [])

  let isDrained = false
  const drained = writer.drain().then(() => (isDrained = true))
  appends[0]!.settle.resolve()
  await until('the next append', () => appends.length === 2)
  assert.deepEqual(
    appends.map(({ indexes }) => indexes),
    [[0], [1, 2, 3, 4, 5]],
  )
  assert.deepEqual([noted, isDrained], [[[0]], false])
  appends[1]!.settle.resolve()
  await drained
  assert.deepEqual(noted, [[0], [1, 2, 3, 4, 5]])
  addBlock(writer, 6)
  await until('a later block is noted, too', () => appends.length === 3)
})

test('what was written before a write failed is noted', async () => {
  const { journal, appends } = heldJournal()
  let [writes, noted] = [0, 0]
  const failures: unknown[] = []
  const { writer } = countingWriter({
    journal,
    onNoted: (blocks) => void (noted += blocks.length),
    file: {
      write: () => (++writes === 3 ? Promise.reject(new Error('the disk is full')) : Promise.resolve()),
    } as unknown as DirectFile,
    onFailure: async (error) => void failures.push(error),
  })

  for (const index of [0, 2, 4]) addBlock(writer, index)
  await until('the third write failed', () => failures.length === 1)
  appends[0]!.settle.resolve()
  await until('both others are noted', () => appends.length === 2 || noted === 2)
  appends[1]?.settle.resolve()
  await writer.drain()

  assert.deepEqual(
    appends.flatMap(({ indexes }) => indexes),
    [0, 2],
  )
})

test('a block that cannot be noted is a failure of the file, after which nothing more is written', async () => {
  const { journal, appends } = heldJournal()
  const failures: [message: string, during: string][] = []
  const dropped: number[] = []
  const { writer, disk } = countingWriter({
    journal,
    onFailure: async (error, during) => void failures.push([(error as Error).message, during]),
    onDropped: ({ index }) => void dropped.push(index),
  })
  addBlock(writer, 0)
  await until('the journal was asked', () => appends.length === 1)

  appends[0]!.settle.reject(new Error('no space for the line'))
  await writer.drain()
  addBlock(writer, 1)
  await writer.drain()

  assert.deepEqual(failures, [['no space for the line', 'write']])
  assert.deepEqual([disk.written, dropped], [MIB, [1]])
})

test('whether the file is still ours is looked at again and again, and nothing is written once it is not', async () => {
  let looks = 0
  const failures: unknown[] = []
  const { writer, disk } = countingWriter({
    assertOurs: () => (++looks === 3 ? Promise.reject(new Error('taken over')) : Promise.resolve()),
    onFailure: async (error) => void failures.push(error),
  })

  let written = 0
  for (let index = 0; failures.length === 0; index += 1) {
    written = disk.written
    addBlock(writer, index)
    await writer.drain()
  }

  assert.ok(looks === 3 && disk.written === written)
})

test('a power cut costs a bounded part of a file that is still arriving, and nothing after a sync', async () => {
  const { writer, disk } = countingWriter()

  for (let index = 0; index < 200; index += 1) {
    addBlock(writer, index)
    await writer.drain()
  }

  assert.equal(disk.written, 200 * MIB)
  assert.ok(disk.most <= 8 * MIB, `${disk.most} bytes were at risk`)
  await writer.sync()
  assert.equal(disk.atRisk, 0)
})
