import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { ingest } from '../contracts/blob-store.contract.ts'
import { makeStore, PIECE_BYTES } from './store-fixture.ts'

const MIB = 1024 * 1024

/** Mounts a small tmpfs; says visibly when that is not possible here. */
function mountTmpfs(t: TestContext, options: string): { at: string; remount(options: string): void } | undefined {
  const at = mkdtempSync(join(tmpdir(), 'wv-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    rmdirSync(at)
    t.diagnostic(`NOT TESTED: no tmpfs can be mounted here (${mounted.stderr || mounted.error?.message})`)
    return undefined
  }
  t.after(() => {
    spawnSync('umount', ['-l', at])
    rmdirSync(at)
  })
  const remount = (changed: string): void => {
    const done = spawnSync('mount', ['-o', `remount,${changed}`, at], { encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
  }
  return { at, remount }
}

test('a full disk stops a download with DISK_FULL, keeps what is there, and lets it go on when there is space', async (t) => {
  const disk = mountTmpfs(t, 'size=4m')
  if (disk === undefined) return
  const { store, root, layout } = await makeStore(t, join(disk.at, 'archive'))
  const small = randomBytes(1000)
  await ingest(store, small, t)
  const bytes = randomBytes(8 * MIB)
  const filler = join(root, 'filler')

  await assert.rejects(ingest(store, bytes, t), { code: 'DISK_FULL', hint: /free/i, message: /^partial\// })

  assert.equal(await store.sizeOf(digestsOf(bytes).sha256), undefined)
  assert.deepEqual(await store.digest(digestsOf(small).sha256, t.signal), digestsOf(small))
  assert.ok((await store.freeBytes()) < MIB)
  disk.remount('size=16m')
  {
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    assert.ok(partial.position >= 2 * MIB, `${partial.position} bytes were kept`)
    assert.equal(partial.position % PIECE_BYTES, 0)
  }
  await ingest(store, bytes, t)
  assert.deepEqual(await store.digest(digestsOf(bytes).sha256, t.signal), digestsOf(bytes))

  writeFileSync(filler, Buffer.alloc(await store.freeBytes()))
  await assert.rejects(ingest(store, randomBytes(100), t), { code: 'DISK_FULL' })
  rmSync(filler)
  await ingest(store, randomBytes(100), t)
  assert.deepEqual(readdirSync(layout.partial), [])
})

test('a disk without inodes gives DISK_FULL and works again with some', async (t) => {
  const disk = mountTmpfs(t, 'size=4m,nr_inodes=16')
  if (disk === undefined) return
  const { store } = await makeStore(t, join(disk.at, 'archive'))
  const bytes = randomBytes(100)
  const error = await (async () => {
    for (let made = 0; made < 16; made += 1) await ingest(store, randomBytes(10 + made), t)
  })().catch((thrown: unknown) => thrown)
  assert.equal((error as { code?: string }).code, 'DISK_FULL')

  disk.remount('nr_inodes=1000')

  await ingest(store, bytes, t)
  assert.equal(await store.sizeOf(digestsOf(bytes).sha256), 100)
})

test('a disk that became read-only gives ARCHIVE_READ_ONLY and can still be read', async (t) => {
  const disk = mountTmpfs(t, 'size=4m')
  if (disk === undefined) return
  const { store } = await makeStore(t, join(disk.at, 'archive'))
  const bytes = randomBytes(100)
  const { sha256 } = await ingest(store, bytes, t)
  disk.remount('ro')

  await assert.rejects(ingest(store, randomBytes(100), t), { code: 'ARCHIVE_READ_ONLY' })

  assert.equal(await store.sizeOf(sha256), 100)
  assert.deepEqual(await store.digest(sha256, t.signal), digestsOf(bytes))
  disk.remount('rw')
  await ingest(store, randomBytes(100), t)
})

test('assertMounted notices the same archive on another device', async (t) => {
  const disk = mountTmpfs(t, 'size=4m')
  if (disk === undefined) return
  const original = join(disk.at, 'original')
  mkdirSync(original)
  const { store, root } = await makeStore(t)
  renameSync(root, `${root}-moved`)
  cpSync(`${root}-moved`, join(original, 'archive'), { recursive: true })
  symlinkSync(join(original, 'archive'), root)

  await assert.rejects(store.assertMounted(), { code: 'ARCHIVE_MISSING_MARKER', message: /another disk/ })

  rmSync(root)
  renameSync(`${root}-moved`, root)
  await store.assertMounted()
})
