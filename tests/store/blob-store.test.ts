import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { BlobStore } from '../../src/blob-port.ts'
import type { PartialRange } from '../../src/intake-port.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { ingest, NOTE, partialBytesOf } from '../contracts/blob-store.contract.ts'
import { keepingLog, makeStore, PIECE_BYTES, temporaryFolder } from './store-fixture.ts'

/** Leaves a partial of the first `length` bytes behind, as a stopped process does. */
async function leavePartial(store: BlobStore, bytes: Buffer, length: number, t: TestContext): Promise<void> {
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  await partial.append(bytes.subarray(0, length), t.signal)
}

/** Where a resume starts, and that the rest makes the blob right. */
async function resumeAt(store: BlobStore, bytes: Buffer, t: TestContext): Promise<number> {
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  const { position } = partial
  await partial.append(bytes.subarray(position), t.signal)
  const digests = await partial.finish(t.signal)
  assert.deepEqual(digests, digestsOf(bytes))
  await store.publish(keyOf(bytes), digests, t.signal)
  assert.deepEqual(await store.digest(digests.sha256, t.signal), digests)
  return position
}

/** Fills a range as a connection does. */
async function fill(range: PartialRange, bytes: Buffer, t: TestContext): Promise<void> {
  while (range.position < range.end) {
    await range.room(t.signal)
    const view = range.view()
    if (view === undefined) continue
    range.filled(bytes.copy(view, 0, range.position, Math.min(range.end, range.position + view.length)))
  }
  range.release()
}

for (const odd of ['link', 'folder', 'pipe', 'dangling link'] as const) {
  test(`openPartial sets a ${odd} aside and does not follow it`, async (t) => {
    const { store, layout } = await makeStore(t)
    const bytes = randomBytes(1000)
    const path = layout.partialFile(keyOf(bytes))
    const secret = join(temporaryFolder(t), 'secret')
    if (odd !== 'dangling link') writeFileSync(secret, 'secret')
    if (odd === 'folder') mkdirSync(path)
    else if (odd === 'pipe') execFileSync('mkfifo', [path])
    else symlinkSync(secret, path)

    assert.equal(await resumeAt(store, bytes, t), 0)

    assert.equal(existsSync(secret) && readFileSync(secret, 'utf8'), odd === 'dangling link' ? false : 'secret')
    const set = readdirSync(layout.quarantine).sort()
    assert.equal(set.length, 2)
    assert.match(set[0]!, /^\d{4}-\d{2}-\d{2}T.*\.bin$/)
    assert.match(readFileSync(join(layout.quarantine, set[1]!), 'utf8'), /no regular file/)
  })
}

test('openPartial sets a link in place of the journal aside', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(1000)
  const secret = join(temporaryFolder(t), 'secret')
  writeFileSync(secret, 'secret')
  symlinkSync(secret, layout.pieceJournal(keyOf(bytes)))

  assert.equal(await resumeAt(store, bytes, t), 0)

  assert.equal(readFileSync(secret, 'utf8'), 'secret')
})

test('openPartial sets a folder in place of the new journal aside', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(1000)
  mkdirSync(layout.newPieceJournal(keyOf(bytes)))
  writeFileSync(join(layout.newPieceJournal(keyOf(bytes)), 'file'), 'somebody’s')

  await ingest(store, bytes, t)

  assert.equal(await store.sizeOf(digestsOf(bytes).sha256), 1000)
  assert.equal(readdirSync(layout.quarantine).length, 2)
})

test('openPartial never writes to a partial that has a second name', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(3 * PIECE_BYTES)
  await leavePartial(store, bytes, 2 * PIECE_BYTES, t)
  const second = join(layout.root, 'second-name')
  linkSync(layout.partialFile(keyOf(bytes)), second)

  assert.equal(await resumeAt(store, bytes, t), 0)

  assert.deepEqual(readFileSync(second), bytes.subarray(0, 2 * PIECE_BYTES))
})

test('openPartial cuts a torn partial back to the last whole piece', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(5 * PIECE_BYTES)
  await leavePartial(store, bytes, 4 * PIECE_BYTES + 10, t)
  truncateSync(layout.partialFile(keyOf(bytes)), 3 * PIECE_BYTES - 1)

  assert.equal(await resumeAt(store, bytes, t), 2 * PIECE_BYTES)
})

test('openPartial drops bytes that no journal line speaks for', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(5 * PIECE_BYTES)
  await leavePartial(store, bytes, 2 * PIECE_BYTES, t)
  appendFileSync(layout.partialFile(keyOf(bytes)), randomBytes(100))
  {
    await using _partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    assert.equal(await partialBytesOf(store), 2 * PIECE_BYTES)
  }

  assert.equal(await resumeAt(store, bytes, t), 2 * PIECE_BYTES)
})

test('the kept beginning of a block that changed on disk is not gone on with', async (t) => {
  const { store, layout, reopen } = await makeStore(t)
  const bytes = randomBytes(4 * PIECE_BYTES)
  await leavePartial(store, bytes, 2 * PIECE_BYTES + 100, t)
  const damaged = readFileSync(layout.partialFile(keyOf(bytes)))
  damaged[2 * PIECE_BYTES + 17]! ^= 4
  writeFileSync(layout.partialFile(keyOf(bytes)), damaged)

  const second = await reopen()
  await using partial = await second.openPartial(keyOf(bytes), bytes.length, t.signal)
  for (let range = await partial.claim(bytes.length, t.signal); range !== undefined;) {
    assert.equal(range.position, 2 * PIECE_BYTES)
    await fill(range, bytes, t)
    range = await partial.claim(bytes.length, t.signal)
  }

  assert.deepEqual(await partial.finish(t.signal), digestsOf(bytes))
})

test('bytes that changed on disk are found when the digest is wrong, and only their blocks come again', async (t) => {
  const { store, layout, reopen } = await makeStore(t)
  const bytes = randomBytes(5 * PIECE_BYTES + 100)
  await leavePartial(store, bytes, 4 * PIECE_BYTES + 10, t)
  const damaged = readFileSync(layout.partialFile(keyOf(bytes)))
  damaged[PIECE_BYTES + 17]! ^= 4
  damaged[3 * PIECE_BYTES]! ^= 1
  writeFileSync(layout.partialFile(keyOf(bytes)), damaged)

  const second = await reopen()
  await using partial = await second.openPartial(keyOf(bytes), bytes.length, t.signal)
  assert.equal(partial.position, 4 * PIECE_BYTES + 10)
  await partial.append(bytes.subarray(partial.position), t.signal)
  await assert.rejects(partial.finish(t.signal), { code: 'PARTIAL_DAMAGED', message: /131072 bytes/ })

  assert.equal(partial.heldBytes, bytes.length - 2 * PIECE_BYTES)
  for (const block of [1, 3]) {
    const range = await partial.claim(4 * PIECE_BYTES, t.signal)
    assert.deepEqual([range?.start, range?.end], [block * PIECE_BYTES, (block + 1) * PIECE_BYTES])
    await fill(range!, bytes, t)
  }
  assert.equal(await partial.claim(PIECE_BYTES, t.signal), undefined)
  assert.deepEqual(await partial.finish(t.signal), digestsOf(bytes))
})

test('openPartial starts at 0 when the journal cannot be believed', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(4 * PIECE_BYTES)
  const path = layout.pieceJournal(keyOf(bytes))
  const lies: [string, (text: string) => string | undefined][] = [
    ['missing', () => undefined],
    ['empty', () => ''],
    ['binary', () => '\u0000\u0001\n'.repeat(100)],
    ['of other bytes', (text) => text.replaceAll(/[0-9a-f]{64}/g, 'a'.repeat(64))],
    ['of another size', (text) => text.replace(` ${bytes.length} `, ` ${bytes.length + 1} `)],
    ['without piece size', (text) => text.replace(` ${PIECE_BYTES}\n`, ' 0\n')],
    ['a line missing', (text) => text.replace(/^0 .*\n/m, '')],
    ['too long a block', (text) => text.replace(/^0 \d+/m, `0 ${bytes.length}`)],
    ['a block behind the end', (text) => text.replace(/^0 /m, '9 ')],
    ['an older format', (text) => text.replace('pieces/2', 'pieces/1')],
    ['another format', (text) => text.replace('pieces/2', 'pieces/3')],
  ]

  for (const [what, lie] of lies) {
    await leavePartial(store, bytes, 3 * PIECE_BYTES, t)
    const text = lie(readFileSync(path, 'utf8'))
    if (text === undefined) rmSync(path)
    else writeFileSync(path, text)
    await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    assert.equal(partial.position, 0, what)
  }
})

test('openPartial believes a journal up to its torn last line', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(4 * PIECE_BYTES)
  await leavePartial(store, bytes, 3 * PIECE_BYTES, t)
  const path = layout.pieceJournal(keyOf(bytes))
  // Blocks are noted as their writes end.
  const [head, ...lines] = readFileSync(path, 'latin1').trimEnd().split('\n')
  writeFileSync(path, [head, ...lines.toSorted()].join('\n'))

  assert.equal(await resumeAt(store, bytes, t), 2 * PIECE_BYTES)
})

test('openPartial starts at 0 when the file is longer than the content', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(2 * PIECE_BYTES)
  await leavePartial(store, bytes, bytes.length, t)
  appendFileSync(layout.partialFile(keyOf(bytes)), 'x')

  assert.equal(await resumeAt(store, bytes, t), 0)
})

for (const kept of [0, 2]) {
  test(`a writer whose partial was taken over at piece ${kept} stops and changes nothing`, async (t) => {
    const { store, layout, reopen } = await makeStore(t)
    const bytes = randomBytes(6 * PIECE_BYTES)
    await leavePartial(store, bytes, kept * PIECE_BYTES, t)
    await using first = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
    const second = await reopen()
    await using taken = await second.openPartial(keyOf(bytes), bytes.length, t.signal)
    assert.equal(taken.position, kept * PIECE_BYTES)

    await taken.append(bytes.subarray(taken.position), t.signal)
    await assert.rejects(
      async () => {
        await first.append(Buffer.alloc(bytes.length - first.position), t.signal)
        await first.finish(t.signal)
      },
      { code: 'ARCHIVE_LOCKED' },
    )

    assert.deepEqual(await taken.finish(t.signal), digestsOf(bytes))
    await second.publish(keyOf(bytes), digestsOf(bytes), t.signal)
    await first[Symbol.asyncDispose]()
    assert.deepEqual(readFileSync(layout.blob(digestsOf(bytes).sha256)), bytes)
  })
}

test('a whole partial that was taken over is finished by its new owner only', async (t) => {
  const { store, reopen } = await makeStore(t)
  const bytes = randomBytes(2 * PIECE_BYTES)
  await leavePartial(store, bytes, bytes.length, t)
  await using first = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  await using taken = await (await reopen()).openPartial(keyOf(bytes), bytes.length, t.signal)

  await assert.rejects(first.finish(t.signal), { code: 'ARCHIVE_LOCKED' })

  assert.deepEqual(await taken.finish(t.signal), digestsOf(bytes))
})

test('publish refuses a partial that changed after it was hashed', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(1000)
  await using partial = await store.openPartial(keyOf(bytes), 1000, t.signal)
  await partial.append(bytes, t.signal)
  const digests = await partial.finish(t.signal)
  writeFileSync(layout.partialFile(keyOf(bytes)), randomBytes(1000))

  await assert.rejects(store.publish(keyOf(bytes), digests, t.signal), /invariant/)

  assert.equal(await store.sizeOf(digests.sha256), undefined)
})

test('a published blob is read-only, has one name and is never written again', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(1000)
  await ingest(store, bytes, t)
  const path = layout.blob(digestsOf(bytes).sha256)
  const before = lstatSync(path)

  await ingest(store, bytes, t)

  const facts = lstatSync(path)
  assert.equal(facts.mode & 0o7777, 0o440)
  assert.equal(facts.nlink, 1)
  assert.deepEqual([facts.ino, facts.mtimeMs], [before.ino, before.mtimeMs])
  assert.deepEqual(readFileSync(path), bytes)
})

for (const intruder of ['a file of another size', 'a file of other bytes', 'a link', 'a folder'] as const) {
  test(`publish does not overwrite ${intruder} that has the name of the blob`, async (t) => {
    const { store, layout } = await makeStore(t)
    const bytes = randomBytes(1000)
    const path = layout.blob(digestsOf(bytes).sha256)
    const other = join(temporaryFolder(t), 'other')
    writeFileSync(other, bytes)
    mkdirSync(dirname(path))
    if (intruder === 'a folder') mkdirSync(path)
    else if (intruder === 'a link') symlinkSync(other, path)
    else writeFileSync(path, intruder === 'a file of other bytes' ? randomBytes(1000) : 'other bytes')
    const before = lstatSync(path)

    await assert.rejects(ingest(store, bytes, t), { code: 'FIXITY_FAILED', message: /blobs\/sha256/ })

    const after = lstatSync(path)
    assert.deepEqual([after.ino, after.mtimeMs, after.size], [before.ino, before.mtimeMs, before.size])
    assert.equal(await partialBytesOf(store), 1000, 'the good bytes are still there')
  })
}

test('sizeOf, list and digest do not follow what is no regular file', async (t) => {
  const { log, lines } = keepingLog()
  const { store, layout } = await makeStore(t, undefined, log)
  const kinds = ['link', 'folder', 'pipe'].map((kind) => ({ kind, digests: digestsOf(Buffer.from(kind)) }))
  for (const { kind, digests } of kinds) {
    const path = layout.blob(digests.sha256)
    mkdirSync(dirname(path), { recursive: true })
    if (kind === 'link') symlinkSync('/etc/passwd', path)
    else if (kind === 'folder') mkdirSync(path)
    else execFileSync('mkfifo', [path])
  }
  writeFileSync(join(layout.blobs, 'README'), '')
  mkdirSync(join(layout.blobs, 'zz'))

  for (const { digests } of kinds) {
    await assert.rejects(store.sizeOf(digests.sha256), { code: 'FIXITY_FAILED' })
    await assert.rejects(store.digest(digests.sha256, t.signal), { code: 'FIXITY_FAILED' })
  }
  for await (const blob of store.list(t.signal)) assert.fail(`${blob.sha256} is no blob`)

  assert.deepEqual(
    lines.map((line) => line.message),
    Array(3).fill('foreign file among the blobs ignored'),
  )
})

test('digest tells what the bytes are now', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(400_000)
  const { sha256 } = await ingest(store, bytes, t)
  const path = layout.blob(sha256)
  bytes[200_000]! ^= 1
  rmSync(path)
  writeFileSync(path, bytes)

  assert.deepEqual(await store.digest(sha256, t.signal), digestsOf(bytes))
  assert.notEqual(digestsOf(bytes).sha256, sha256)
})

for (const kind of ['sha256', 'git'] as const) {
  test(`a crash between link and unlink is healed without writing to the blob (${kind} key)`, async (t) => {
    const { store, layout, reopen } = await makeStore(t)
    const bytes = randomBytes(2 * PIECE_BYTES + 1)
    const { sha256, gitOid } = digestsOf(bytes)
    const key = kind === 'git' ? (`git-${gitOid}-${bytes.length}` as const) : keyOf(bytes)
    {
      await using partial = await store.openPartial(key, bytes.length, t.signal)
      await partial.append(bytes, t.signal)
      await partial.finish(t.signal)
    }
    mkdirSync(dirname(layout.blob(sha256)))
    linkSync(layout.partialFile(key), layout.blob(sha256))
    const before = lstatSync(layout.blob(sha256))

    const second = await reopen()
    {
      await using partial = await second.openPartial(key, bytes.length, t.signal)
      // A small file's blob is not known by its key: its bytes are taken over instead of fetched again.
      assert.equal(partial.position, kind === 'git' ? bytes.length : 0)
      await partial.append(bytes.subarray(partial.position), t.signal)
      await second.publish(key, await partial.finish(t.signal), t.signal)
    }

    const after = lstatSync(layout.blob(sha256))
    assert.deepEqual([after.ino, after.mtimeMs, after.nlink], [before.ino, before.mtimeMs, 1])
    assert.deepEqual(readFileSync(layout.blob(sha256)), bytes)
    assert.deepEqual(readdirSync(layout.partial), [])
  })
}

test('the first partial of a process sweeps away what kills left of published blobs', async (t) => {
  const { store, layout, reopen } = await makeStore(t)
  const [held, unfinished] = [randomBytes(1000), randomBytes(2 * PIECE_BYTES)]
  await ingest(store, held, t)
  await leavePartial(store, unfinished, PIECE_BYTES, t)
  linkSync(layout.blob(digestsOf(held).sha256), layout.partialFile(keyOf(held)))
  for (const suffix of ['.pieces', '.pieces.new']) writeFileSync(join(layout.partial, `${keyOf(held)}${suffix}`), '')
  writeFileSync(layout.unnamedChecks(digestsOf(held).sha256), 'torn')

  const second = await reopen()
  assert.equal(await partialBytesOf(second), PIECE_BYTES, 'a published blob is not counted twice')
  await using _other = await second.openPartial(keyOf(randomBytes(1)), 1, t.signal)

  const names = readdirSync(layout.partial)
  assert.ok(!names.some((name) => name.includes(digestsOf(held).sha256)), names.join())
  assert.equal(names.filter((name) => name.startsWith(keyOf(unfinished))).length, 2, 'unfinished bytes stay')
  assert.equal(await second.sizeOf(digestsOf(held).sha256), 1000)
})

test('an unmounted disk is not an archive that lost everything', async (t) => {
  const { store, root } = await makeStore(t)
  const bytes = randomBytes(1000)
  const { sha256 } = await ingest(store, bytes, t)
  renameSync(root, `${root}-elsewhere`)
  mkdirSync(root)
  const missing = { code: 'ARCHIVE_MISSING_MARKER' }

  await assert.rejects(store.assertMounted(), missing)
  await assert.rejects(store.sizeOf(sha256), missing)
  await assert.rejects(store.digest(sha256, t.signal), missing)
  await assert.rejects(store.openPartial(keyOf(randomBytes(10)), 10, t.signal), missing)
  await assert.rejects(partialBytesOf(store), missing)
  await assert.rejects(store.freeBytes(), missing)
  await assert.rejects(async () => {
    for await (const blob of store.list(t.signal)) assert.fail(`${blob.sha256} is listed`)
  }, missing)

  assert.deepEqual(readdirSync(root), [], 'nothing was made on the disk below')
  rmSync(root, { recursive: true })
  renameSync(`${root}-elsewhere`, root)
  await store.assertMounted()
  assert.equal(await store.sizeOf(sha256), 1000)
})

test('assertMounted notices another archive in the same place', async (t) => {
  const { store, root } = await makeStore(t)
  renameSync(root, `${root}-elsewhere`)
  await makeStore(t, root)

  await assert.rejects(store.assertMounted(), { code: 'ARCHIVE_MISSING_MARKER', message: /another disk/ })
})

test('quarantinePartial keeps the bytes and writes why, also twice in one moment, but one copy of one damage', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(1000)
  const { sha256 } = digestsOf(bytes)
  const note = { ...NOTE, actual: sha256, size: 1000 }
  const others = { ...note, expected: 'e'.repeat(64) }
  for (const noted of [note, others, { ...note, at: '2027-01-01T00:00:00.000Z' }, others]) {
    const key = keyOf(randomBytes(10))
    await using partial = await store.openPartial(key, 1000, t.signal)
    await partial.append(bytes, t.signal)
    await partial.finish(t.signal)
    await store.quarantinePartial(key, noted, t.signal)
  }

  const stem = `2026-03-04T050607.000Z-${sha256}`
  assert.deepEqual(
    readdirSync(layout.quarantine).sort(),
    [`${stem}-2.bin`, `${stem}-2.json`, `${stem}.bin`, `${stem}.json`].sort(),
  )
  assert.ok((await store.quarantineBytes()) > 2 * bytes.length)
  assert.deepEqual(readFileSync(join(layout.quarantine, `${stem}.bin`)), bytes)
  const written = JSON.parse(readFileSync(join(layout.quarantine, `${stem}.json`), 'utf8')) as unknown
  assert.deepEqual(written, { format: 'weightvault-quarantine/1', ...note })
  assert.deepEqual(readdirSync(layout.partial), [])
})

test('quarantinePartial takes a hostile digest for what it is', async (t) => {
  const { store, layout } = await makeStore(t)
  const key = keyOf(randomBytes(10))
  {
    await using partial = await store.openPartial(key, 3, t.signal)
    await partial.append(Buffer.from('abc'), t.signal)
  }

  await store.quarantinePartial(key, { ...NOTE, actual: '../../../etc/passwd', at: 'yesterday/..' }, t.signal)

  assert.deepEqual(readdirSync(layout.quarantine).sort(), [
    `unknown-time-${key}.part.bin`,
    `unknown-time-${key}.part.json`,
  ])
})

test('names are made of checked digests only', async (t) => {
  const { store } = await makeStore(t)

  await assert.rejects(store.sizeOf('../../etc/passwd' as never), /invariant/)
  await assert.rejects(store.openPartial('sha256-../../x' as never, 1, t.signal), /invariant/)
  await assert.rejects(store.openPartial(`git-${'a'.repeat(40)}-01` as never, 1, t.signal), /invariant/)
})
