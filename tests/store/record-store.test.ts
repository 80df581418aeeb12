import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseCommitId, parseGitOid, parseHubId, parseSha256 } from '../../src/domain/digest.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { printListing, promiseText, type Listing } from '../../src/domain/listing.ts'
import { ManifestDraft, printManifest, type Manifest } from '../../src/domain/manifest.ts'
import { parseRepoName, type RepoName } from '../../src/domain/repo.ts'
import type { RecordStore } from '../../src/record-port.ts'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { createRecordStore } from '../../src/store/record-store.ts'
import { temporaryFolder } from './store-fixture.ts'

const NAME = parseRepoName('Qwen/Qwen3.5-4B')!
const COMMIT = parseCommitId('c'.repeat(40))!
const NONE = { license: undefined, license_name: undefined, license_link: undefined }

const LISTING: Listing = {
  format: 'weightvault-listing/1',
  repo: { type: 'model', name: NAME, hubId: parseHubId('6'.repeat(24))! },
  commit: COMMIT,
  endpoint: 'https://huggingface.co',
  observedAt: '2026-03-04T05:06:07.000Z',
  createdAt: '2026-02-01T00:00:00.000Z',
  lastModified: undefined,
  gated: false,
  license: { ...NONE, license: 'apache-2.0' },
  tags: ['gguf', 'license:apache-2.0'],
  cardData: { license: 'apache-2.0', __proto__x: 1 },
  files: [
    {
      path: 'README.md',
      size: 0,
      gitOid: parseGitOid('a'.repeat(40))!,
      isLfs: false,
      lfsOid: undefined,
      xetHash: undefined,
    },
    {
      path: 'a\u0000\ud800\n../ü.safetensors',
      size: Number.MAX_SAFE_INTEGER,
      gitOid: parseGitOid('b'.repeat(40))!,
      isLfs: true,
      lfsOid: parseSha256('d'.repeat(64))!,
      xetHash: 'e'.repeat(64),
    },
  ],
  refused: [{ path: 'x/', reason: 'ends with "/"' }],
}

function write(records: RecordStore, { files, ...head }: Manifest, signal: AbortSignal): Promise<void> {
  return records.writeManifest(head, ManifestDraft.of(files), signal)
}

const MANIFEST: Manifest = {
  format: 'weightvault-manifest/1',
  repo: LISTING.repo,
  commit: COMMIT,
  revision: 1,
  endpoint: LISTING.endpoint,
  sealedAt: '2026-03-04T06:00:00.000Z',
  coverage: 'selection',
  license: LISTING.license,
  listingSha256: parseSha256('f'.repeat(64))!,
  files: [
    {
      path: 'README.md',
      size: 0,
      sha256: parseSha256('1'.repeat(64))!,
      gitOid: parseGitOid('a'.repeat(40))!,
      held: true,
      reason: 'small-file',
      attestedBy: ['hub-git-oid'],
    },
    { path: 'b.gguf', size: 5, sha256: null, gitOid: null, held: false, reason: 'excluded', attestedBy: [] },
  ],
}

async function makeRecords(t: TestContext): Promise<{ records: RecordStore; layout: Layout }> {
  const root = join(temporaryFolder(t), 'archive')
  await openArchiveFolder(root, { create: true })
  return { records: createRecordStore({ root }), layout: new Layout(root) }
}

function event(seq: number, at = '2026-03-04T05:06:07.000Z', detail: Record<string, unknown> = {}): LoggedEvent {
  return {
    seq,
    id: `id-${seq}`,
    type: 'repo-updated',
    severity: 'info',
    repo: { type: 'model', name: NAME },
    at,
    before: null,
    after: 'ünï',
    detail,
  }
}

function seqsIn(path: string): number[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => (JSON.parse(line) as LoggedEvent).seq)
}

test('readListing refuses what is not a listing, names the file and the field, and leaves it', async (t) => {
  const { records, layout } = await makeRecords(t)
  await records.writeListing(LISTING, t.signal)
  const path = layout.listing(NAME, COMMIT)
  const good = readFileSync(path, 'utf8')
  const damaged: [string, RegExp][] = [
    ['', /is not JSON/],
    [good.slice(0, -20), /is not JSON/],
    ['null', /the file is not an object/],
    [good.replace('listing/1', 'listing/2'), /format is not/],
    [good.replace('Qwen/Qwen3.5-4B', '../../etc'), /repo\.name/],
    [good.replace('Qwen/Qwen3.5-4B', 'Qwen/Other'), /is about Qwen\/Other/],
    [good.replace('c'.repeat(40), 'c'.repeat(39)), /commit/],
    [good.replace('c'.repeat(40), 'b'.repeat(40)), /is about/],
    [good.replace('"size":0', '"size":-1'), /files\[0\]\.size/],
    [good.replace('"size":0', '"size":"0"'), /files\[0\]\.size/],
    [good.replace('"size":0', '"size":1e400'), /files\[0\]\.size/],
    [good.replace('"isLfs":true', '"isLfs":1'), /files\[1\]\.isLfs/],
    [good.replace('d'.repeat(64), 'D'.repeat(64)), /files\[1\]\.lfsOid/],
    [good.replace('"gated":false', '"gated":"maybe"'), /gated/],
    [good.replace('"tags":[', '"tags":[1,'), /tags\[0\]/],
  ]
  rmSync(path)

  for (const [text, message] of damaged) {
    writeFileSync(path, text)
    await assert.rejects(records.readListing(NAME, COMMIT), { code: 'RECORD_INVALID', message }, String(message))
    await assert.rejects(records.readListingHead(NAME, COMMIT), { code: 'RECORD_INVALID', message }, String(message))
    await assert.rejects(records.writeListing(LISTING, t.signal), {
      code: 'RECORD_INVALID',
      message: /^listings\/Qwen/,
    })
    assert.equal(readFileSync(path, 'utf8'), text)
  }
})

test('readListingHead is the listing without its files, whoever laid it out', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.listing(NAME, COMMIT)
  mkdirSync(dirname(path), { recursive: true })
  const listings = [LISTING, { ...LISTING, files: [] }, { ...LISTING, files: LISTING.files.slice(0, 1) }]
  for (const text of listings.flatMap((each) => [
    printListing(each),
    JSON.stringify(each),
    JSON.stringify(each, null, 1),
  ])) {
    writeFileSync(path, text)
    const whole = await records.readListing(NAME, COMMIT)
    assert.ok(whole)
    const { files: _, ...head } = whole.listing
    assert.deepEqual(await records.readListingHead(NAME, COMMIT), { listing: head, sha256: whole.sha256 })
  }
})

test('readListing does not follow a link or wait for a pipe', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.listing(NAME, COMMIT)
  mkdirSync(dirname(path), { recursive: true })
  const elsewhere = join(temporaryFolder(t), 'listing.json')
  writeFileSync(elsewhere, printListing(LISTING))

  symlinkSync(elsewhere, path)
  await assert.rejects(records.readListing(NAME, COMMIT), { code: 'RECORD_INVALID' })
  rmSync(path)
  execFileSync('mkfifo', [path])
  await assert.rejects(records.readListing(NAME, COMMIT), { code: 'RECORD_INVALID' })
})

test('records of an unmounted disk are not "none", and nothing is made below it', async (t) => {
  const { records, layout } = await makeRecords(t)
  renameSync(layout.root, `${layout.root}-elsewhere`)
  mkdirSync(layout.root)
  const missing = { code: 'ARCHIVE_MISSING_MARKER' }

  await assert.rejects(records.readListing(NAME, COMMIT), missing)
  await assert.rejects(records.readManifest(NAME, COMMIT), missing)
  await assert.rejects(records.writeListing(LISTING, t.signal), missing)
  await assert.rejects(write(records, MANIFEST, t.signal), missing)
  await assert.rejects(records.appendEvents([event(1)], t.signal), missing)

  assert.deepEqual(readdirSync(layout.root), [])
})

test('writeListing keeps another promise for the same commit beside the first', async (t) => {
  const { records, layout } = await makeRecords(t)
  const other: Listing = { ...LISTING, files: LISTING.files.slice(0, 1) }
  const id = createHash('sha256').update(promiseText(other)).digest('hex').slice(0, 16)
  await records.writeListing(LISTING, t.signal)
  const first = readFileSync(layout.listing(NAME, COMMIT))

  assert.equal(await records.writeListing(other, t.signal), 'conflict')
  assert.equal(await records.writeListing({ ...other, observedAt: '2026-04-01T00:00:00.000Z' }, t.signal), 'conflict')

  assert.deepEqual(readFileSync(layout.listing(NAME, COMMIT)), first)
  const kept = layout.listing(NAME, COMMIT, id)
  assert.equal(readFileSync(kept, 'utf8'), printListing(other))
  assert.deepEqual(readdirSync(dirname(kept)).sort(), [`${COMMIT}.conflict-${id}.json`, `${COMMIT}.json`])
})

test('writeListing writes once; the same promise in another order or at another time is the same', async (t) => {
  const { records, layout } = await makeRecords(t)

  assert.equal(await records.readListing(NAME, COMMIT), undefined)
  assert.equal(await records.writeListing(LISTING, t.signal), 'written')
  const later: Listing = { ...LISTING, observedAt: '2026-05-01T00:00:00.000Z', files: LISTING.files.toReversed() }
  assert.equal(await records.writeListing(later, t.signal), 'same')

  const path = layout.listing(NAME, COMMIT)
  assert.equal(readFileSync(path, 'utf8'), printListing(LISTING))
  assert.equal(lstatSync(path).mode & 0o777, 0o440)
  const found = await records.readListing(NAME, COMMIT)
  assert.deepEqual(found?.listing, LISTING)
  assert.equal(found?.sha256, createHash('sha256').update(readFileSync(path)).digest('hex'))
})

test('names that differ only in case have folders of their own', async (t) => {
  const { records } = await makeRecords(t)
  const lower = parseRepoName('qwen/qwen3.5-4b')!
  const other: Listing = { ...LISTING, repo: { ...LISTING.repo, name: lower }, files: [] }

  assert.equal(await records.writeListing(LISTING, t.signal), 'written')
  assert.equal(await records.writeListing(other, t.signal), 'written')

  assert.deepEqual((await records.readListing(lower, COMMIT))?.listing, other)
  assert.deepEqual((await records.readListing(NAME, COMMIT))?.listing, LISTING)
})

test('names that only claim to be checked never become a path', async (t) => {
  const { records } = await makeRecords(t)

  await assert.rejects(records.readListing('../../etc' as RepoName, COMMIT), /invariant/)
  await assert.rejects(records.readListing(NAME, '../x' as never), /invariant/)
})

test('writeManifest refuses other content for a sealed revision and changes nothing', async (t) => {
  const { records, layout } = await makeRecords(t)
  await write(records, MANIFEST, t.signal)
  const before = [layout.manifest(NAME, COMMIT, 1), layout.manifest(NAME, COMMIT, 1, 'sha256')].map((path) =>
    readFileSync(path, 'utf8'),
  )

  const other: Manifest = { ...MANIFEST, coverage: 'all', files: [] }
  await assert.rejects(write(records, other, t.signal), { code: 'RECORD_INVALID', message: /sealed already/ })

  const paths = [layout.manifest(NAME, COMMIT, 1), layout.manifest(NAME, COMMIT, 1, 'sha256')]
  assert.deepEqual(
    paths.map((path) => readFileSync(path, 'utf8')),
    before,
  )
})

test('writeManifest of the same content is a no-op; the first time of sealing stands', async (t) => {
  const { records, layout } = await makeRecords(t)
  await write(records, MANIFEST, t.signal)
  const path = layout.manifest(NAME, COMMIT, 1)
  const before = statSync(path)

  await write(records, MANIFEST, t.signal)
  const { repo, ...rest } = MANIFEST
  await write(records, { ...rest, repo, sealedAt: '2026-09-09T00:00:00.000Z' }, t.signal)

  assert.equal(statSync(path).ino, before.ino)
  assert.deepEqual(await records.readManifest(NAME, COMMIT), MANIFEST)
  assert.equal(readFileSync(path, 'utf8'), printManifest(MANIFEST))
  assert.equal(lstatSync(path).mode & 0o777, 0o440)
})

test('writeManifest replaces a .sha256 that a crash left without its manifest', async (t) => {
  const { records, layout } = await makeRecords(t)
  const sums = layout.manifest(NAME, COMMIT, 1, 'sha256')
  mkdirSync(dirname(sums), { recursive: true })
  writeFileSync(sums, 'torn')

  assert.equal(await records.readManifest(NAME, COMMIT), undefined)
  await write(records, MANIFEST, t.signal)

  assert.equal(readFileSync(sums, 'utf8'), `${'1'.repeat(64)}  README.md\n`)
})

test('readManifest takes the highest revision, and refuses a damaged one rather than fall back', async (t) => {
  const { records, layout } = await makeRecords(t)
  for (const revision of [1, 2, 10]) await write(records, { ...MANIFEST, revision }, t.signal)
  writeFileSync(join(dirname(layout.manifest(NAME, COMMIT, 1)), `${COMMIT}.011.json`), '{}')

  assert.equal((await records.readManifest(NAME, COMMIT))?.revision, 10)
  assert.ok(statSync(layout.manifest(NAME, COMMIT, 10, 'sha256')).isFile())

  writeFileSync(layout.manifest(NAME, COMMIT, 11), printManifest({ ...MANIFEST, revision: 12 }))
  await assert.rejects(records.readManifest(NAME, COMMIT), { code: 'RECORD_INVALID', message: /its name says 11/ })
  writeFileSync(
    layout.manifest(NAME, COMMIT, 11),
    printManifest({ ...MANIFEST, revision: 11 }).replace('"held":true', '"held":7'),
  )
  await assert.rejects(records.readManifest(NAME, COMMIT), { code: 'RECORD_INVALID', message: /files\[0\]\.held/ })
})

test('readManifest refuses a held file without a SHA-256', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.manifest(NAME, COMMIT, 1)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, printManifest(MANIFEST).replace(`"${'1'.repeat(64)}"`, 'null'))

  await assert.rejects(records.readManifest(NAME, COMMIT), { code: 'RECORD_INVALID', message: /files\[0\]\.sha256/ })
})

test('appendEvents cuts a torn last line off and goes on', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.eventFile('2026-03')
  await records.appendEvents([event(1), event(2)], t.signal)
  for (const cut of [1, 20, 150]) {
    truncateSync(path, statSync(path).size - cut)
    await createRecordStore({ root: layout.root }).appendEvents([event(1), event(2)], t.signal)
    assert.deepEqual(seqsIn(path), [1, 2], `cut by ${cut}`)
  }
  writeFileSync(path, `{"seq":1,"detail":"${'torn '.repeat(500)}`)
  await records.appendEvents([event(1)], t.signal)
  assert.deepEqual(seqsIn(path), [1])
})

test('appendEvents keeps a damaged line that is whole, and finds the last number before it', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.eventFile('2026-03')
  await records.appendEvents([event(1), event(2)], t.signal)
  appendFileSync(path, 'damaged but whole\n')

  await records.appendEvents([event(2), event(3)], t.signal)

  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.equal(lines[2], 'damaged but whole')
  assert.deepEqual([lines.length, (JSON.parse(lines[3]!) as LoggedEvent).seq], [4, 3])
})

test('appendEvents skips what is there, sorts by number and splits by month in UTC', async (t) => {
  const { records, layout } = await makeRecords(t)
  const march = event(2, '2026-04-01T01:00:00+02:00')

  await records.appendEvents([event(3, '2026-04-01T00:00:00.000Z'), march, event(1)], t.signal)
  await records.appendEvents(
    [event(1), march, event(3, '2026-04-01T00:00:00.000Z'), event(4, '2026-03-31T00:00:00Z')],
    t.signal,
  )

  assert.deepEqual(seqsIn(layout.eventFile('2026-03')), [1, 2, 4])
  assert.deepEqual(seqsIn(layout.eventFile('2026-04')), [3])
  const first = readFileSync(layout.eventFile('2026-03'), 'utf8').split('\n')[0]!
  assert.deepEqual(JSON.parse(first), { ...event(1) })
})

test('appendEvents finds the last number behind a very long line', async (t) => {
  const { records, layout } = await makeRecords(t)
  const path = layout.eventFile('2026-03')
  await records.appendEvents([event(1), event(2, undefined, { text: 'ü'.repeat(300_000) })], t.signal)

  await records.appendEvents([event(2), event(3)], t.signal)
  truncateSync(path, statSync(path).size - 5)
  await records.appendEvents([event(3)], t.signal)

  assert.deepEqual(seqsIn(path), [1, 2, 3])
})

test('appendEvents does not write through a link', async (t) => {
  const { records, layout } = await makeRecords(t)
  const elsewhere = join(temporaryFolder(t), 'other')
  writeFileSync(elsewhere, '')
  symlinkSync(elsewhere, layout.eventFile('2026-03'))

  await assert.rejects(records.appendEvents([event(1)], t.signal), { code: 'DISK_FAILED' })

  assert.equal(readFileSync(elsewhere, 'utf8'), '')
})
