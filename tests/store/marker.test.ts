import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ARCHIVE_FOLDERS } from '../../src/store/layout.ts'
import { initArchive, openArchiveFolder } from '../../src/store/marker.ts'
import { keepingLog, temporaryFolder } from './store-fixture.ts'

const MISSING = { code: 'ARCHIVE_MISSING_MARKER' }

test('openArchiveFolder refuses an existing folder without a marker, and makes nothing in it', async (t) => {
  const mountPoint = temporaryFolder(t)

  await assert.rejects(openArchiveFolder(mountPoint, { create: true }), { ...MISSING, hint: /not mounted/ })

  assert.deepEqual(readdirSync(mountPoint), [])
})

test('openArchiveFolder without create makes no folder', async (t) => {
  const root = join(temporaryFolder(t), 'archive')

  await assert.rejects(openArchiveFolder(root, { create: false }), MISSING)

  assert.throws(() => statSync(root), { code: 'ENOENT' })
})

test('openArchiveFolder refuses a file, a folder full of other things, and a link as marker', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  const archive = join(folder, 'archive')
  await openArchiveFolder(archive, { create: true })
  const linked = join(folder, 'linked')
  mkdirSync(linked)
  symlinkSync(join(archive, 'weightvault.json'), join(linked, 'weightvault.json'))

  await assert.rejects(openArchiveFolder(join(folder, 'file'), { create: true }), MISSING)
  await assert.rejects(openArchiveFolder(folder, { create: true }), MISSING)
  await assert.rejects(openArchiveFolder(linked, { create: true }), MISSING)
})

test('openArchiveFolder says what to do about a damaged marker', async (t) => {
  const root = join(temporaryFolder(t), 'archive')
  await openArchiveFolder(root, { create: true })
  const marker = join(root, 'weightvault.json')
  const id = '0f8fad5b-d9cb-469f-a165-70867728950e'
  const damaged = [
    '',
    '\0'.repeat(100),
    'null',
    '[]',
    '{}',
    '{"format":"weightvault-archive/1"}',
    `{"format":"weightvault-archive/1","archiveId":"${id}"}`,
    `{"format":"weightvault-archive/1","archiveId":"../../etc","createdAt":"2026-03-01T00:00:00Z"}`,
    `{"format":"other","archiveId":"${id}","createdAt":"2026-03-01T00:00:00Z"}`,
    ' '.repeat(100_000),
  ]

  for (const text of damaged) {
    writeFileSync(marker, text)
    await assert.rejects(openArchiveFolder(root, { create: true }), { ...MISSING, hint: /backup/ }, text.slice(0, 80))
  }
  rmSync(marker)
  execFileSync('mkfifo', [marker])
  await assert.rejects(openArchiveFolder(root, { create: true }), MISSING)
})

test('openArchiveFolder refuses a format it does not know', async (t) => {
  const root = join(temporaryFolder(t), 'archive')
  await openArchiveFolder(root, { create: true })
  writeFileSync(join(root, 'weightvault.json'), '{"format":"weightvault-archive/2"}')

  await assert.rejects(openArchiveFolder(root, { create: true }), { code: 'ARCHIVE_FORMAT_UNKNOWN' })
})

test('openArchiveFolder refuses an archive whose blobs are elsewhere, and makes other folders again', async (t) => {
  const root = join(temporaryFolder(t), 'archive')
  await openArchiveFolder(root, { create: true })
  for (const name of ['partial', 'events', 'quarantine']) rmSync(join(root, name), { recursive: true })

  await openArchiveFolder(root, { create: true })
  for (const name of ARCHIVE_FOLDERS) assert.ok(statSync(join(root, name)).isDirectory(), name)

  rmSync(join(root, 'blobs', 'sha256'), { recursive: true })
  await assert.rejects(openArchiveFolder(root, { create: true }), MISSING)
  assert.deepEqual(readdirSync(join(root, 'blobs')), [])
})

test('openArchiveFolder makes a new archive with new parents, private, and finds it again', async (t) => {
  const folder = temporaryFolder(t)
  const root = join(folder, 'a', 'b', 'archive')

  const made = await openArchiveFolder(root, { create: true })
  const found = await openArchiveFolder(root, { create: false })

  assert.deepEqual(found, made)
  assert.equal(statSync(root).mode & 0o777, 0o750)
  assert.deepEqual(readdirSync(join(folder, 'a', 'b')), ['archive'])
  const marker = JSON.parse(readFileSync(join(root, 'weightvault.json'), 'utf8')) as Record<string, unknown>
  assert.deepEqual(marker, { format: 'weightvault-archive/1', archiveId: made.archiveId, createdAt: made.createdAt })
})

test('the archive folder itself may be a link to another disk', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'disk'))
  symlinkSync(join(folder, 'disk'), join(folder, 'archive'))

  const made = await initArchive(join(folder, 'archive'))
  rmSync(join(folder, 'disk', 'events'), { recursive: true })

  assert.deepEqual(await openArchiveFolder(join(folder, 'archive'), { create: true }), made)
  rmSync(join(folder, 'disk'), { recursive: true })
  await assert.rejects(openArchiveFolder(join(folder, 'archive'), { create: true }), MISSING)
})

test('openArchiveFolder removes what a killed creation left', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, '.archive.0123456789ab.new', 'blobs'), { recursive: true })
  mkdirSync(join(folder, '.archive.of-somebody.new'))

  await openArchiveFolder(join(folder, 'archive'), { create: true })

  assert.deepEqual(readdirSync(folder).sort(), ['.archive.of-somebody.new', 'archive'])
})

test('openArchiveFolder at the same moment makes one archive', async (t) => {
  const root = join(temporaryFolder(t), 'archive')

  const markers = await Promise.all(Array.from({ length: 8 }, () => openArchiveFolder(root, { create: true })))

  assert.equal(new Set(markers.map((marker) => marker.archiveId)).size, 1)
})

test('openArchiveFolder warns about a folder that others may write', async (t) => {
  const root = join(temporaryFolder(t), 'archive')
  await openArchiveFolder(root, { create: true })
  const { log, lines } = keepingLog()

  await openArchiveFolder(root, { create: true, log })
  chmodSync(root, 0o777)
  await openArchiveFolder(root, { create: true, log })

  assert.deepEqual(
    lines.map((line) => line.message),
    ['archive folder is writable by other users'],
  )
})

test('initArchive refuses a folder that holds anything else', async (t) => {
  const root = temporaryFolder(t)
  writeFileSync(join(root, 'notes.txt'), '')

  await assert.rejects(initArchive(root), { ...MISSING, hint: /notes\.txt/ })

  rmSync(join(root, 'notes.txt'))
  mkdirSync(join(root, 'blobs', 'sha256', 'ab'), { recursive: true })
  await assert.rejects(initArchive(root), MISSING)
})

test('initArchive takes an empty disk, what its own crash left, and an archive that is there', async (t) => {
  const root = temporaryFolder(t)
  mkdirSync(join(root, 'lost+found'))
  mkdirSync(join(root, 'blobs'))
  writeFileSync(join(root, '.weightvault.json.0123456789ab.tmp'), '')

  const made = await initArchive(root)

  assert.deepEqual(await initArchive(root), made)
  assert.deepEqual(await openArchiveFolder(root, { create: true }), made)
})
