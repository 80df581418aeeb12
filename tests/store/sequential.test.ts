import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, readFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { HashPool } from '../../src/lib/hash-files.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { SILENT, temporaryFolder } from './store-fixture.ts'

const MIB = 1024 * 1024

interface Writes {
  /** Of each file handle, in the order in which the calls began. */
  readonly positions: Map<FileHandle, number[]>
  /** Calls at the same time. */
  most: number
}

type Call = (...given: unknown[]) => Promise<unknown>

/** Watches every write of file contents; lines of journals are shorter. */
async function watchWrites(t: TestContext): Promise<Writes> {
  await using any = await open('/dev/null')
  const prototype = Object.getPrototypeOf(any) as FileHandle
  const writes: Writes = { positions: new Map(), most: 0 }
  let active = 0
  const watched = async <R>(
    handle: FileHandle,
    length: number,
    position: unknown,
    call: () => Promise<R>,
  ): Promise<R> => {
    if (length < MIB / 4) return call()
    const positions = writes.positions.get(handle) ?? []
    writes.positions.set(handle, [...positions, Number(position)])
    active += 1
    writes.most = Math.max(writes.most, active)
    try {
      return await call()
    } finally {
      active -= 1
    }
  }
  const [write, writev] = ['write', 'writev'].map((name) => Reflect.get(prototype, name) as Call) as [Call, Call]
  t.mock.method(prototype, 'write', function (this: FileHandle, ...given: [Uint8Array, number, number, number]) {
    return watched(this, given[2], given[3], () => Reflect.apply(write, this, given))
  })
  t.mock.method(prototype, 'writev', function (this: FileHandle, buffers: Uint8Array[], position: number) {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    return watched(this, length, position, () => Reflect.apply(writev, this, [buffers, position]))
  })
  return writes
}

test('a sequential store writes one after another, and each file from its beginning to its end', async (t) => {
  const root = join(temporaryFolder(t), 'archive')
  const hashPool = new HashPool()
  t.after(() => hashPool.close())
  const { archiveId } = await openArchiveFolder(root, { create: true })
  const store = createBlobStore({ root, archiveId, hashPool, log: SILENT, sequential: true })
  const contents = Array.from({ length: 3 }, (_, at) => randomBytes(7 * MIB + at * 2 * MIB))
  const writes = await watchWrites(t)

  await Promise.all(
    contents.map(async (bytes) => {
      await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
      for (let at = 0; at < bytes.length; at += 100_003)
        await partial.append(bytes.subarray(at, at + 100_003), t.signal)
      await store.publish(keyOf(bytes), await partial.finish(t.signal), t.signal)
    }),
  )

  assert.equal(writes.most, 1)
  assert.ok(writes.positions.size >= contents.length)
  for (const positions of writes.positions.values()) {
    assert.deepEqual(
      positions,
      positions.toSorted((a, b) => a - b),
    )
  }
  for (const bytes of contents) {
    assert.deepEqual(await readFile(new Layout(root).blob(digestsOf(bytes).sha256)), bytes)
  }
})
