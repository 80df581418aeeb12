import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, link, mkdtemp, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Sha256 } from '../../src/domain/digest.ts'
import { HashPool } from '../../src/lib/hash-files.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { Layout } from '../../src/store/layout.ts'
import { initArchive, openArchiveFolder } from '../../src/store/marker.ts'
import { ingest } from '../contracts/blob-store.contract.ts'

const BYTES = randomBytes(5000)
const NOW = Number.MAX_SAFE_INTEGER

async function held(t: TestContext) {
  const root = join(await mkdtemp(join(tmpdir(), 'weightvault-read-')), 'archive')
  const log = createLogger({ level: 'silent' })
  await initArchive(root, log)
  const { archiveId } = await openArchiveFolder(root, { create: false, log })
  const hashPool = new HashPool()
  t.after(async () => {
    await hashPool[Symbol.asyncDispose]()
    await rm(join(root, '..'), { recursive: true, force: true })
  })
  const store = createBlobStore({ root, archiveId, hashPool, log })
  const { sha256 } = await ingest(store, BYTES, t)
  return { store, sha256, path: new Layout(root).blob(sha256), root }
}

async function bytesOf(store: Awaited<ReturnType<typeof held>>['store'], sha256: Sha256, provenAt = NOW) {
  await using blob = await store.open(sha256, BYTES.length, provenAt, new AbortController().signal)
  const buffer = Buffer.alloc(BYTES.length)
  assert.equal(await blob.read(buffer, 0), BYTES.length)
  return buffer
}

/** Other bytes of the same length, under the same name. */
async function overwrite(path: string): Promise<void> {
  await chmod(path, 0o640)
  await writeFile(path, Buffer.alloc(BYTES.length, 1))
  await chmod(path, 0o440)
}

test('open reads any part of a held blob', async (t) => {
  const { store, sha256 } = await held(t)
  await using blob = await store.open(sha256, BYTES.length, NOW, t.signal)
  const part = Buffer.alloc(100)
  assert.equal(await blob.read(part, 4000), 100)
  assert.deepEqual(part, BYTES.subarray(4000, 4100))
  assert.equal(await blob.read(part, 4950), 50)
  assert.equal(await blob.read(part, 5000), 0)
})

test('open tells what is not held from what is damaged', async (t) => {
  const { store, sha256, path, root } = await held(t)
  const other = createHash('sha256').update('other').digest('hex') as Sha256
  await assert.rejects(store.open(other, 5, NOW, t.signal), { code: 'FILE_UNKNOWN' })
  await assert.rejects(store.open(sha256, 4999, NOW, t.signal), { code: 'FIXITY_FAILED' })
  await rename(path, `${path}.away`)
  await symlink(`${path}.away`, path)
  await assert.rejects(store.open(sha256, 5000, NOW, t.signal), { code: 'FIXITY_FAILED' })
  await rm(join(root, 'weightvault.json'))
  await assert.rejects(store.open(other, 5, NOW, t.signal), { code: 'ARCHIVE_MISSING_MARKER' })
})

test('open refuses a blob that was changed since it was opened first', async (t) => {
  const { store, sha256, path } = await held(t)
  assert.deepEqual(await bytesOf(store, sha256), BYTES)
  await overwrite(path)
  await assert.rejects(bytesOf(store, sha256), { code: 'FIXITY_FAILED' })
  await assert.rejects(bytesOf(store, sha256), { code: 'FIXITY_FAILED' })
})

test('open notices a change whose times were set back', async (t) => {
  const { store, sha256, path } = await held(t)
  await bytesOf(store, sha256)
  const { atime, mtime } = await stat(path)
  await overwrite(path)
  await utimes(path, atime, mtime)
  await assert.rejects(bytesOf(store, sha256), { code: 'FIXITY_FAILED' })
})

test('open refuses a blob that was written after it was proven, and takes one that only looks so', async (t) => {
  const { store, sha256, path } = await held(t)
  const longAgo = Date.parse('2020-01-01T00:00:00Z')
  assert.deepEqual(await bytesOf(store, sha256, longAgo), BYTES, 'hashed again, and right')
  const fresh = await held(t)
  await overwrite(fresh.path)
  await assert.rejects(bytesOf(fresh.store, fresh.sha256, longAgo), { code: 'FIXITY_FAILED' })
  assert.ok(path)
})

test('open serves the same bytes again after a repair, and after another name was given to them', async (t) => {
  const { store, sha256, path } = await held(t)
  await bytesOf(store, sha256)
  await link(path, `${path}.restored`)
  assert.deepEqual(await bytesOf(store, sha256), BYTES)
  await overwrite(path)
  await assert.rejects(bytesOf(store, sha256), { code: 'FIXITY_FAILED' })
  await rm(path)
  await writeFile(path, BYTES, { mode: 0o440 })
  assert.deepEqual(await bytesOf(store, sha256), BYTES)
})
