import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ArchiveError } from '../../src/domain/errors.ts'
import type { ContentKey } from '../../src/domain/listing.ts'
import { directIo, systemIo, type BatchIo } from '../../src/store/batch-io.ts'
import { BatchCommitter, type BatchItem, type BatchResult } from '../../src/store/commit-batch.ts'
import type { Layout } from '../../src/store/layout.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { makeStore } from './store-fixture.ts'

type Call = keyof BatchIo

/** System calls that are counted, and of which one can fail. */
function watched(fault?: { readonly call: Call; readonly nth: number; readonly code: string }): {
  io: BatchIo
  calls: string[]
} {
  const calls: string[] = []
  const io = Object.fromEntries(
    Object.entries(systemIo).map(([name, call]: [string, (...args: never[]) => unknown]) => [
      name,
      (...args: never[]) => {
        calls.push(name)
        const nth = calls.filter((each) => each === name).length
        if (fault?.call !== name || fault.nth !== nth) return call(...args)
        const error = Object.assign(new Error(`${fault.code}: injected`), {
          code: fault.code,
          errno: -errnoOf(fault.code),
          syscall: name,
        })
        if (name === 'read' || name === 'close' || name === 'makeReadOnly') throw error
        return Promise.reject(error)
      },
    ]),
  ) as unknown as BatchIo
  return { io, calls }
}

function errnoOf(code: string): number {
  return (constants.errno as Record<string, number>)[code] ?? 5
}

function itemsOf(contents: readonly Buffer[]): BatchItem[] {
  return contents.map((bytes, at) => ({ key: at % 2 === 0 ? keyOf(bytes) : gitKeyOf(bytes), bytes }))
}

function gitKeyOf(bytes: Buffer): ContentKey {
  return `git-${digestsOf(bytes).gitOid}-${bytes.length}` as ContentKey
}

async function open(
  t: TestContext,
): Promise<{ layout: Layout; commit: (items: BatchItem[], io?: BatchIo) => Promise<BatchResult[]> }> {
  const { layout } = await makeStore(t)
  return {
    layout,
    commit: (items, io = systemIo) => new BatchCommitter(layout).commit(items, io),
  }
}

/** Every name under blobs/ has the bytes it says. */
function namesOf(layout: Layout): string[] {
  const names = readdirSync(layout.blobs).flatMap((folder) => readdirSync(`${layout.blobs}/${folder}`))
  for (const name of names) {
    const bytes = readFileSync(`${layout.blobs}/${name.slice(0, 2)}/${name}`)
    assert.equal(digestsOf(bytes).sha256, name)
  }
  return names
}

test('a batch publishes every content under its SHA-256, read-only, and leaves no partial', async (t) => {
  const { layout, commit } = await open(t)
  const contents = [0, 1, 4096, 50_000, 256 * 1024].map((size) => randomBytes(size))

  const results = await commit(itemsOf(contents))

  assert.deepEqual(
    results,
    contents.map((bytes) => ({ digests: digestsOf(bytes), isPublished: true })),
  )
  assert.equal(namesOf(layout).length, contents.length)
  for (const bytes of contents) {
    const facts = lstatSync(layout.blob(digestsOf(bytes).sha256))
    assert.equal(facts.mode & 0o777, 0o440)
    assert.equal(facts.nlink, 1)
  }
  assert.deepEqual(readdirSync(layout.partial), [])
})

test('a batch keeps the order write, fsync, read back, link, fsync of the folder, unlink', async (t) => {
  const { commit } = await open(t)
  const { io, calls } = watched()

  await commit(itemsOf([randomBytes(1000)]), io)

  const order = calls.filter((call) => !['open', 'close', 'makeReadOnly', 'mkdir'].includes(call))
  assert.deepEqual(order, ['write', 'fsync', 'read', 'read', 'fsync', 'link', 'fsync', 'unlink'])
})

test('a folder is synced once for all that were linked into it', async (t) => {
  const { commit } = await open(t)
  const contents = Array.from({ length: 600 }, (_, at) => Buffer.from(`content ${at}`))
  const { io, calls } = watched()

  const results = await commit(itemsOf(contents), io)

  assert.ok(results.every((result) => !(result instanceof Error) && result.isPublished))
  const folders = new Set(contents.map((bytes) => digestsOf(bytes).sha256.slice(0, 2))).size
  assert.equal(calls.filter((call) => call === 'fsync').length, contents.length + folders + 1)
})

const FAULTS = [
  { call: 'open', code: 'EMFILE', says: 'DISK_FAILED' },
  { call: 'open', code: 'ENOSPC', says: 'DISK_FULL' },
  { call: 'write', code: 'ENOSPC', says: 'DISK_FULL' },
  { call: 'write', code: 'EDQUOT', says: 'DISK_FULL' },
  { call: 'write', code: 'EIO', says: 'DISK_FAILED' },
  { call: 'write', code: 'EROFS', says: 'ARCHIVE_READ_ONLY' },
  { call: 'fsync', code: 'EIO', says: 'DISK_FAILED' },
  { call: 'fsync', code: 'EDQUOT', says: 'DISK_FULL' },
  { call: 'read', code: 'EIO', says: 'DISK_FAILED' },
  { call: 'close', code: 'EIO', says: 'DISK_FAILED' },
  { call: 'mkdir', code: 'ENOSPC', says: 'DISK_FULL' },
  { call: 'link', code: 'EIO', says: 'DISK_FAILED' },
  { call: 'unlink', code: 'EIO', says: undefined },
] as const

for (const { call, code, says } of FAULTS) {
  test(`${code} at any ${call} publishes nothing wrong, tells what failed, and the next batch heals it`, async (t) => {
    const contents = Array.from({ length: 4 }, () => randomBytes(3000))
    for (let nth = 1; ; nth += 1) {
      const { layout, commit } = await open(t)
      const { io, calls } = watched({ call, nth, code })

      const results = await commit(itemsOf(contents), io)

      if (calls.filter((each) => each === call).length < nth) break
      const failed = results.filter((result) => result instanceof Error)
      for (const error of failed) assert.equal('code' in error && error.code, says)
      if (says !== undefined) assert.ok(failed.length > 0, `${call} ${nth} was noticed`)
      const names = namesOf(layout)
      for (const [at, bytes] of contents.entries()) {
        const isPublished = !(results[at] instanceof Error)
        assert.equal(names.includes(digestsOf(bytes).sha256), isPublished, 'what failed has no name')
      }
      const again = await commit(itemsOf(contents))
      assert.ok(again.every((result) => !(result instanceof Error) && result.isPublished))
      assert.equal(namesOf(layout).length, contents.length)
      assert.deepEqual(readdirSync(layout.partial), [])
    }
  })
}

test('what is hashed is what is in the file: a write that lies is found', async (t) => {
  const { layout, commit } = await open(t)
  const bytes = randomBytes(5000)
  const io: BatchIo = {
    ...systemIo,
    async write(fd, from, position) {
      const flipped = Buffer.from(from)
      flipped[100]! ^= 1
      return systemIo.write(fd, flipped, position)
    },
  }

  const [result] = await commit(itemsOf([bytes]), io)

  assert.ok(result !== undefined && !(result instanceof Error))
  assert.equal(result.isPublished, false)
  assert.deepEqual(namesOf(layout), [])
  assert.deepEqual(readdirSync(layout.partial), [`${keyOf(bytes)}.part`], 'the bytes are there to be set aside')
})

test('short writes are continued', async (t) => {
  const { layout, commit } = await open(t)
  const bytes = randomBytes(10_000)
  const io: BatchIo = {
    ...systemIo,
    write: (fd, from, position) => systemIo.write(fd, from.subarray(0, 999), position),
  }

  const [result] = await commit(itemsOf([bytes]), io)

  assert.deepEqual(result, { digests: digestsOf(bytes), isPublished: true })
  assert.equal(namesOf(layout).length, 1)
})

test('bytes that are not those of their key are not published', async (t) => {
  const { layout, commit } = await open(t)
  const [good, bad] = [randomBytes(100), randomBytes(100)]

  const results = await commit([
    { key: keyOf(good), bytes: good },
    { key: keyOf(randomBytes(100)), bytes: bad },
  ])

  assert.deepEqual(results[1], { digests: digestsOf(bad), isPublished: false })
  assert.deepEqual(namesOf(layout), [digestsOf(good).sha256])
})

test('what has the name of a blob is never replaced or written through', async (t) => {
  const { layout, commit } = await open(t)
  const [same, longer, other, linked] = [randomBytes(100), randomBytes(100), randomBytes(100), randomBytes(100)]
  for (const bytes of [same, longer, other, linked])
    mkdirSync(dirname(layout.blob(digestsOf(bytes).sha256)), { recursive: true })
  writeFileSync(layout.blob(digestsOf(same).sha256), same)
  writeFileSync(layout.blob(digestsOf(longer).sha256), 'something else')
  writeFileSync(layout.blob(digestsOf(other).sha256), Buffer.alloc(100))
  symlinkSync('/etc/hostname', layout.blob(digestsOf(linked).sha256))

  const results = await commit(itemsOf([same, longer, other, linked]))

  assert.deepEqual(results[0], { digests: digestsOf(same), isPublished: true })
  for (const result of results.slice(1))
    assert.equal(result instanceof Error && 'code' in result && result.code, 'FIXITY_FAILED')
  assert.equal(readFileSync(layout.blob(digestsOf(longer).sha256), 'utf8'), 'something else')
  assert.deepEqual(readFileSync(layout.blob(digestsOf(other).sha256)), Buffer.alloc(100))
})

test('a file in the place of a folder of blobs is named, with what to do', async (t) => {
  const { layout, commit } = await open(t)
  const bytes = randomBytes(100)
  const folder = layout.blobFolder(digestsOf(bytes).sha256)
  writeFileSync(folder, '')

  const [result] = await commit(itemsOf([bytes]))

  assert.ok(result instanceof ArchiveError)
  assert.equal(result.code, 'DISK_FAILED')
  assert.ok(result.message.startsWith(`${layout.shown(folder)}: something else lies`), result.message)
  assert.match(result.hint ?? '', /move it/)
})

test('a folder or a link that has the name of a partial is set aside, and keeps nothing from being stored', async (t) => {
  const { layout, commit } = await open(t)
  const contents = [randomBytes(100), randomBytes(100)]
  const items = itemsOf(contents)
  mkdirSync(layout.partialFile(items[0]!.key))
  writeFileSync(`${layout.partialFile(items[0]!.key)}/file`, 'somebody’s')
  symlinkSync('/etc/hostname', layout.partialFile(items[1]!.key))

  const results = await commit(items)

  assert.deepEqual(
    results,
    contents.map((bytes) => ({ digests: digestsOf(bytes), isPublished: true })),
  )
  const kept = readdirSync(layout.quarantine).filter((name) => name.endsWith('.bin'))
  assert.equal(kept.length, 2)
})

for (const code of ['EPERM', 'EOPNOTSUPP', 'EMLINK']) {
  test(`without hard links (${code}) the partials are moved into place`, async (t) => {
    const { layout, commit } = await open(t)
    const contents = [randomBytes(100), randomBytes(200)]
    const io: BatchIo = {
      ...systemIo,
      link: () => Promise.reject(Object.assign(new Error(code), { code, errno: -errnoOf(code) })),
    }

    const results = await commit(itemsOf(contents), io)

    assert.ok(results.every((result) => !(result instanceof Error) && result.isPublished))
    assert.equal(namesOf(layout).length, 2)
    assert.deepEqual(readdirSync(layout.partial), [])
  })
}

test('a partial that a killed process left is never written to: it may be a published blob', async (t) => {
  const { layout, commit } = await open(t)
  const bytes = randomBytes(1000)
  const [blob, partial] = [layout.blob(digestsOf(bytes).sha256), layout.partialFile(keyOf(bytes))]
  await commit(itemsOf([bytes]))
  linkSync(blob, partial)
  utimesSync(blob, 1000, 1000)
  const inode = lstatSync(blob).ino

  await commit(itemsOf([bytes]))

  assert.equal(lstatSync(blob).ino, inode)
  assert.equal(lstatSync(blob).mtimeMs, 1_000_000)
  assert.equal(lstatSync(blob).nlink, 1)
  assert.equal(namesOf(layout).length, 1)
})

test('a name that one batch takes back after a failure is none that another has counted on', async (t) => {
  const { layout } = await makeStore(t)
  const committer = new BatchCommitter(layout)
  const bytes = randomBytes(1000)
  const quick: BatchIo = { ...directIo, fsync: () => Promise.resolve() }
  const folders = new Set<number>()
  const linked = Promise.withResolvers<void>()
  const later: BatchIo = {
    ...quick,
    async write(fd, from, position) {
      await linked.promise
      return directIo.write(fd, from, position)
    },
  }
  const failing: BatchIo = {
    ...quick,
    async open(path, flags, mode) {
      const fd = await directIo.open(path, flags, mode)
      if (path === dirname(layout.blob(digestsOf(bytes).sha256))) folders.add(fd)
      return fd
    },
    async link(from, to) {
      await directIo.link(from, to)
      linked.resolve()
    },
    async fsync(fd) {
      if (!folders.has(fd)) return
      // Long enough for the other batch, if it does not wait for its turn.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO', errno: -errnoOf('EIO') })
    },
  }

  const [[failed], [other]] = await Promise.all([
    committer.commit([{ key: keyOf(bytes), bytes }], failing),
    committer.commit([{ key: gitKeyOf(bytes), bytes }], later),
  ])

  assert.ok(failed instanceof Error)
  assert.deepEqual(other, { digests: digestsOf(bytes), isPublished: true })
  assert.deepEqual(namesOf(layout), [digestsOf(bytes).sha256])
})
