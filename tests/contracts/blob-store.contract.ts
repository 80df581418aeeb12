import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import type { BlobStore, QuarantineNote } from '../../src/blob-port.ts'
import type { Digests, Sha256 } from '../../src/domain/digest.ts'
import type { ContentKey } from '../../src/domain/listing.ts'
import { digestsOf, keyOf } from './blob-digests.ts'

/** A store under test. `reopen` gives another instance over the same bytes, as a restart would. */
export interface StoreUnderTest {
  readonly store: BlobStore
  readonly pieceBytes: number
  readonly reopen: () => Promise<BlobStore>
}

export const NOTE: QuarantineNote = {
  reason: 'digest mismatch',
  at: '2026-03-04T05:06:07.000Z',
  repo: 'Qwen/Qwen3.5-4B',
  commit: 'c'.repeat(40),
  path: 'model.safetensors',
  expected: 'a'.repeat(64),
  actual: 'b'.repeat(64),
  size: 3,
}

/** Bytes of all unfinished downloads. */
export async function partialBytesOf(store: BlobStore): Promise<number> {
  let bytes = 0
  for (const size of (await store.partialSizes()).values()) bytes += size
  return bytes
}

/** Fetches, finishes and publishes bytes the way a download does. */
export async function ingest(
  store: BlobStore,
  bytes: Uint8Array,
  t: TestContext,
  key: ContentKey = keyOf(bytes),
): Promise<Digests> {
  await using partial = await store.openPartial(key, bytes.length, t.signal)
  await partial.append(bytes.subarray(partial.position), t.signal)
  const digests = await partial.finish(t.signal)
  await store.publish(key, digests, t.signal)
  return digests
}

async function listAll(store: BlobStore, t: TestContext): Promise<Map<Sha256, number>> {
  const found = new Map<Sha256, number>()
  for await (const { sha256, size } of store.list(t.signal)) found.set(sha256, size)
  return found
}

/** What every blob store must do, whatever is behind it. */
export function blobStoreContract(name: string, open: (t: TestContext) => Promise<StoreUnderTest>): void {
  const check = (title: string, run: (t: TestContext, under: StoreUnderTest) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => run(t, await open(t)))
  }

  check('nothing is held before it is published', async (t, { store }) => {
    const bytes = randomBytes(1000)

    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    await partial.append(bytes, t.signal)
    const digests = await partial.finish(t.signal)

    assert.equal(await store.sizeOf(digests.sha256), undefined)
    await assert.rejects(store.digest(digests.sha256, t.signal), { code: 'FILE_UNKNOWN' })
    assert.equal((await listAll(store, t)).size, 0)
  })

  check('publish refuses bytes that were not finished, and digests that were not read back', async (t, { store }) => {
    const bytes = randomBytes(1000)
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    await partial.append(bytes, t.signal)

    await assert.rejects(store.publish(keyOf(bytes), digestsOf(bytes), t.signal), /invariant/)
    await partial.finish(t.signal)
    await assert.rejects(store.publish(keyOf(bytes), digestsOf(randomBytes(1000)), t.signal), /invariant/)

    assert.equal((await listAll(store, t)).size, 0)
  })

  check('publish refuses bytes that are not those of the key', async (t, { store }) => {
    const bytes = randomBytes(1000)
    const key = keyOf(randomBytes(1000))

    await assert.rejects(ingest(store, bytes, t, key), { code: 'DIGEST_MISMATCH' })

    assert.equal((await listAll(store, t)).size, 0)
  })

  check('append takes no byte more than the size', async (t, { store }) => {
    const bytes = randomBytes(100)
    await using partial = await store.openPartial(keyOf(bytes), 100, t.signal)

    await assert.rejects(partial.append(Buffer.concat([bytes, bytes]), t.signal), /invariant/)
    await partial.append(bytes, t.signal)
    await assert.rejects(partial.append(bytes.subarray(0, 1), t.signal), /invariant/)

    assert.deepEqual(await partial.finish(t.signal), digestsOf(bytes))
  })

  check('an aborted signal stops append, finish and publish before they do anything', async (t, { store }) => {
    const bytes = randomBytes(100)
    const aborted = AbortSignal.abort()
    await using partial = await store.openPartial(keyOf(bytes), 100, t.signal)

    await assert.rejects(partial.append(bytes, aborted), { name: 'AbortError' })
    assert.equal(partial.position, 0)
    await partial.append(bytes, t.signal)
    await assert.rejects(partial.finish(aborted), { name: 'AbortError' })
    const digests = await partial.finish(t.signal)
    await assert.rejects(store.publish(keyOf(bytes), digests, aborted), { name: 'AbortError' })

    assert.equal(await store.sizeOf(digests.sha256), undefined)
  })

  check('one partial of a key is open at a time', async (t, { store }) => {
    const key = keyOf(randomBytes(1))
    await using _partial = await store.openPartial(key, 1, t.signal)

    await assert.rejects(store.openPartial(key, 1, t.signal), /invariant/)
  })

  check('blobs of every kind of size come back with their digests', async (t, { store, pieceBytes }) => {
    const sizes = [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes, 3_000_001]
    const all = sizes.map((size) => randomBytes(size))

    for (const bytes of all) assert.deepEqual(await ingest(store, bytes, t), digestsOf(bytes))

    for (const bytes of all) {
      const expected = digestsOf(bytes)
      assert.equal(await store.sizeOf(expected.sha256), bytes.length)
      assert.deepEqual(await store.digest(expected.sha256, t.signal), expected)
    }
    assert.deepEqual(await listAll(store, t), new Map(all.map((bytes) => [digestsOf(bytes).sha256, bytes.length])))
    assert.equal(await partialBytesOf(store), 0)
  })

  check('a partial takes nothing more once it is published', async (t, { store }) => {
    const bytes = randomBytes(1000)
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    await partial.append(bytes, t.signal)
    await store.publish(keyOf(bytes), await partial.finish(t.signal), t.signal)

    await assert.rejects(partial.append(bytes.subarray(0, 0), t.signal), /invariant/)
    await assert.rejects(partial.restart(), /invariant/)

    assert.deepEqual(await store.digest(digestsOf(bytes).sha256, t.signal), digestsOf(bytes))
  })

  check('small files are found by their git oid and size', async (t, { store }) => {
    const bytes = Buffer.from('license: apache-2.0\n')
    const expected = digestsOf(bytes)

    await ingest(store, bytes, t, `git-${expected.gitOid}-${bytes.length}`)

    assert.equal(await store.sizeOf(expected.sha256), bytes.length)
  })

  check('publish again is a no-op, from this process or after a restart', async (t, { store, reopen }) => {
    const bytes = randomBytes(5000)

    const digests = await ingest(store, bytes, t)
    await store.publish(keyOf(bytes), digests, t.signal)
    const second = await reopen()
    await second.publish(keyOf(bytes), digests, t.signal)
    await ingest(second, bytes, t)

    assert.equal(await second.sizeOf(digests.sha256), bytes.length)
    assert.equal(await partialBytesOf(second), 0)
  })

  check('the same bytes under two keys are one blob', async (t, { store }) => {
    const bytes = randomBytes(700)
    const { gitOid, sha256 } = digestsOf(bytes)

    await Promise.all([ingest(store, bytes, t), ingest(store, bytes, t, `git-${gitOid}-700`)])

    assert.deepEqual(await listAll(store, t), new Map([[sha256, 700]]))
    assert.equal(await partialBytesOf(store), 0)
  })

  check('a partial closed half way goes on where it was', async (t, { store, pieceBytes, reopen }) => {
    const bytes = randomBytes(4 * pieceBytes + 100)
    for (const [index, half] of [pieceBytes + 5, 2 * pieceBytes, 2 * pieceBytes + 77, 4 * pieceBytes + 99].entries()) {
      await using partial = await (index === 0 ? store : await reopen()).openPartial(
        keyOf(bytes),
        bytes.length,
        t.signal,
      )
      await partial.append(bytes.subarray(partial.position, half), t.signal)
      assert.equal(partial.position, half)
    }
    const last = await reopen()

    await using partial = await last.openPartial(keyOf(bytes), bytes.length, t.signal)

    assert.equal(partial.position, 4 * pieceBytes + 99)
    assert.ok((await partialBytesOf(last)) >= 4 * pieceBytes)
    await partial.append(bytes.subarray(partial.position), t.signal)
    const digests = await partial.finish(t.signal)
    assert.deepEqual(digests, digestsOf(bytes))
    await last.publish(keyOf(bytes), digests, t.signal)
    assert.deepEqual(await last.digest(digests.sha256, t.signal), digests)
  })

  check('a partial finished but not published is published after a restart', async (t, { store, reopen }) => {
    const bytes = randomBytes(500_000)
    {
      await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
      await partial.append(bytes, t.signal)
      await partial.finish(t.signal)
    }

    const second = await reopen()
    await using partial = await second.openPartial(keyOf(bytes), bytes.length, t.signal)

    assert.equal(partial.position, bytes.length)
    await second.publish(keyOf(bytes), await partial.finish(t.signal), t.signal)
    assert.deepEqual(await second.digest(digestsOf(bytes).sha256, t.signal), digestsOf(bytes))
  })

  check('restart forgets every byte, also after finish', async (t, { store, pieceBytes }) => {
    const bytes = randomBytes(2 * pieceBytes + 10)
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)

    await partial.append(randomBytes(pieceBytes + 3), t.signal)
    await partial.restart()
    assert.equal(partial.position, 0)
    await partial.append(randomBytes(bytes.length), t.signal)
    await partial.finish(t.signal)
    await partial.restart()
    await partial.append(bytes, t.signal)

    const digests = await partial.finish(t.signal)
    assert.deepEqual(digests, digestsOf(bytes))
    await store.publish(keyOf(bytes), digests, t.signal)
    assert.deepEqual(await store.digest(digests.sha256, t.signal), digests)
  })

  check('chunks of any size give the same file', async (t, { store }) => {
    const bytes = randomBytes(300_000)
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    // The caller may use its buffer again as soon as append resolves.
    const reused = Buffer.alloc(70_000)

    for (let at = 0, step = 1; at < bytes.length; at += step, step = Math.min(step * 3, bytes.length - at, 70_000)) {
      const chunk = reused.subarray(0, Math.min(step, bytes.length - at))
      bytes.copy(chunk, 0, at)
      await partial.append(chunk, t.signal)
      reused.fill(0)
    }

    assert.deepEqual(await partial.finish(t.signal), digestsOf(bytes))
  })

  check('quarantined bytes leave the partials and never become a blob', async (t, { store }) => {
    const bytes = randomBytes(1000)
    const key = keyOf(randomBytes(1000))
    await using partial = await store.openPartial(key, 1000, t.signal)
    await partial.append(bytes, t.signal)
    const digests = await partial.finish(t.signal)

    await store.quarantinePartial(key, { ...NOTE, actual: digests.sha256 }, t.signal)

    assert.equal(await partialBytesOf(store), 0)
    assert.equal((await listAll(store, t)).size, 0)
    await assert.rejects(store.publish(key, digests, t.signal), /invariant/)
    await using again = await store.openPartial(key, 1000, t.signal)
    assert.equal(again.position, 0)
  })

  check('free bytes are a plausible number and the store is mounted', async (_t, { store }) => {
    const free = await store.freeBytes()

    assert.ok(Number.isSafeInteger(free) && free > 0, `${free} bytes are free`)
    await store.assertMounted()
  })
}
