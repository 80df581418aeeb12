import assert from 'node:assert/strict'
import type { FileHandle } from 'node:fs/promises'
import { test } from 'node:test'
import { BlockWriter } from '../../src/store/block-writer.ts'
import type { DirectFile } from '../../src/store/direct-file.ts'
import type { PieceJournal } from '../../src/store/piece-journal.ts'

const MIB = 1024 * 1024

/** A writer over a disk that only counts: what it was given, and how much of that a power cut may take. */
function countingWriter(): { writer: BlockWriter; disk: { written: number; atRisk: number; most: number } } {
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
    syncName: () => Promise.resolve(),
    assertOurs: () => Promise.resolve(),
    connections: () => 2,
    isWhole: () => false,
    onWritten: () => undefined,
    onDropped: () => undefined,
    onFailure: () => assert.fail('nothing fails here'),
  })
  return { writer, disk }
}

test('a power cut costs a bounded part of a file that is still arriving, and nothing after a sync', async () => {
  const { writer, disk } = countingWriter()
  const bytes = new Uint8Array(MIB)

  for (let index = 0; index < 200; index += 1) {
    writer.add({ index, start: index * MIB, block: { offset: 0, bytes }, length: MIB, crc: 0 })
    await writer.drain()
  }

  assert.equal(disk.written, 200 * MIB)
  assert.ok(disk.most <= 8 * MIB, `${disk.most} bytes were at risk`)
  await writer.sync()
  assert.equal(disk.atRisk, 0)
})
