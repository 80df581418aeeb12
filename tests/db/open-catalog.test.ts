import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import { HOLD_REASONS } from '../../src/domain/decision.ts'
import { ArchiveError } from '../../src/domain/errors.ts'
import { HOLD_ORDER } from '../../src/db/hold.ts'
import { remoteFileSystem } from '../../src/db/local-disk.ts'
import { openCatalog } from '../../src/db/open-catalog.ts'
import { catalogError, isAtLeast, openSqlite } from '../../src/db/sqlite.ts'
import {
  addListed,
  decide,
  eventOf,
  isSmall,
  largeFile,
  listingRecordOf,
  quietLog,
  refOf,
  smallFile,
} from './catalog-fixtures.ts'

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-catalog-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const archiveId = '0123456789ab'

function open(path: string, mode: 'write' | 'read' = 'write') {
  return openCatalog({ path, archiveId, mode, log: quietLog })
}

/** A closed catalog with some content. */
async function filledCatalog(t: TestContext): Promise<string> {
  const path = join(newFolder(t), 'catalog.db')
  await using catalog = await open(path)
  const files = Array.from({ length: 500 }, (_, at) => largeFile(`model-${at}.safetensors`))
  await addListed(catalog, 'Qwen/A', files)
  await catalog.appendEvents([eventOf()])
  return path
}

/** The hint must tell that nothing is lost and what to do. */
function isUnusable(pattern: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof ArchiveError)
    assert.equal(error.code, 'CATALOG_UNUSABLE')
    assert.match(error.message, pattern)
    assert.ok(error.hint)
    return true
  }
}

test('`openCatalog` says that a damaged file can be moved away without a loss', async (t) => {
  const path = join(newFolder(t), 'catalog.db')
  writeFileSync(path, 'this is no database, but it is longer than a header of one hundred bytes would be. '.repeat(40))

  const run = open(path)

  await assert.rejects(run, (error: unknown) => {
    assert.ok(error instanceof ArchiveError)
    assert.match(error.hint ?? '', /move .* away.*no archived bytes are lost/)
    return isUnusable(/damaged/)(error)
  })
})

test('`openCatalog` notices a file that was cut short', async (t) => {
  const path = await filledCatalog(t)
  truncateSync(path, statSync(path).size - 4096)

  await assert.rejects(open(path), isUnusable(/damaged/))
})

test('`openCatalog` notices a page of zeros where a table begins', async (t) => {
  const path = await filledCatalog(t)
  const database = new Database(path, { readonly: true })
  const root = Number(database.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'files'").pluck().get())
  database.close()
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(4096), 0, 4096, (root - 1) * 4096)
  closeSync(file)

  await assert.rejects(open(path), isUnusable(/damaged/))
})

test('`openCatalog` leaves the database of another program alone', async (t) => {
  const path = join(newFolder(t), 'catalog.db')
  const other = new Database(path)
  other.exec('CREATE TABLE theirs (x)')
  other.close()

  await assert.rejects(open(path), isUnusable(/another program/))

  const again = new Database(path, { readonly: true })
  assert.deepEqual(again.prepare('SELECT name FROM sqlite_master').pluck().all(), ['theirs'])
  assert.equal(again.pragma('journal_mode', { simple: true }), 'delete')
  again.close()
})

test('`openCatalog` refuses the catalog of another archive', async (t) => {
  const path = await filledCatalog(t)

  const run = openCatalog({ path, archiveId: 'ffffffffffff', mode: 'write', log: quietLog })

  await assert.rejects(run, isUnusable(/another archive/))
})

test('`openCatalog` for reading neither makes a file nor accepts an empty one', async (t) => {
  const folder = newFolder(t)
  const path = join(folder, 'catalog.db')

  await assert.rejects(open(path, 'read'), isUnusable(/no catalog/))
  assert.equal(existsSync(path), false)
  writeFileSync(path, '')
  await assert.rejects(open(path, 'read'), isUnusable(/empty/))
  await assert.rejects(open(join(folder, 'gone', 'catalog.db')), isUnusable(/no folder/))
  mkdirSync(join(folder, 'folder.db'))
  await assert.rejects(open(join(folder, 'folder.db')), isUnusable(/cannot be opened/))
})

test('a catalog opened for reading changes nothing', async (t) => {
  const path = await filledCatalog(t)
  await using catalog = await open(path, 'read')

  const refusal = { code: 'ARCHIVE_READ_ONLY', message: /opened for reading only/ }
  await assert.rejects(catalog.appendEvents([eventOf()]), refusal)
  await assert.rejects(catalog.leaseJob({ nowMs: 1, smallOnly: false }), { code: 'ARCHIVE_READ_ONLY' })
  await assert.rejects(catalog.checkpoint(), { code: 'ARCHIVE_READ_ONLY' })

  assert.equal((await catalog.totals()).filesListed, 500)
  // Also below the class: the file itself is open for reading.
  const handle = openSqlite(path, 'read')
  t.after(() => handle.raw.close())
  assert.throws(() => handle.raw.exec('DELETE FROM events'), { code: 'SQLITE_READONLY' })
})

test('`redecide` with the same decisions writes nothing', async (t) => {
  const path = join(newFolder(t), 'catalog.db')
  await using catalog = await open(path)
  const files = Array.from({ length: 500 }, (_, at) => largeFile(`model-${at}.safetensors`))
  const { snapshotId } = await addListed(catalog, 'Qwen/A', files)
  const before = statSync(`${path}-wal`).size

  await catalog.redecide(snapshotId, decide(files), 'policy-1', isSmall)

  assert.equal(statSync(`${path}-wal`).size, before)
})

test('a catalog opened for reading sees only whole transactions of the writer', async (t) => {
  const path = join(newFolder(t), 'catalog.db')
  await using writer = await open(path)
  const { repoId } = await addListed(writer, 'Qwen/A', [])
  await using reader = await open(path, 'read')
  const files = Array.from({ length: 5000 }, (_, at) => smallFile(`f${at}`))
  const seen = new Set<number>()

  const record = { ...listingRecordOf(repoId, 'Qwen/A', files), events: [eventOf()] }
  const commit = 'b'.repeat(40) as typeof record.listing.commit
  const writing = writer.recordListing({ ...record, listing: { ...record.listing, commit } })
  const progress = { isDone: false }
  const done = writing.finally(() => (progress.isDone = true))
  for (let turn = 0; turn < 100_000 && !progress.isDone; turn += 1) {
    const totals = await reader.totals()
    const pages = await reader.repoRow(refOf('Qwen/A'))
    assert.equal(totals.snapshots - 1, totals.lastSeq)
    seen.add(pages?.snapshots.length ?? 0)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await done

  assert.equal((await reader.totals()).filesListed, 5000)
  assert.ok(seen.has(1))
})

test('`openSqlite` reads its settings back and refuses a file that does not keep them', (t) => {
  const handle = openSqlite(join(newFolder(t), 'catalog.db'), 'write')
  t.after(() => handle.raw.close())

  const settings = ['journal_mode', 'synchronous', 'foreign_keys', 'busy_timeout'].map((name) =>
    handle.raw.pragma(name, { simple: true }),
  )

  assert.deepEqual(settings, ['wal', 2, 1, 5000])
  // A database in memory cannot keep a log, as one on some network disks cannot.
  assert.throws(() => openSqlite(':memory:', 'write'), isUnusable(/refused the setting journal_mode/))
})

test('the catalog keeps foreign keys: a file row needs its snapshot', async (t) => {
  const path = await filledCatalog(t)
  const handle = openSqlite(path, 'write')
  t.after(() => handle.raw.close())

  assert.throws(() => handle.raw.exec('DELETE FROM snapshots'), { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
})

test('`isAtLeast` compares versions number by number', () => {
  assert.equal(isAtLeast('3.51.3', [3, 51, 3]), true)
  assert.equal(isAtLeast('3.54.0', [3, 51, 3]), true)
  assert.equal(isAtLeast('4', [3, 51, 3]), true)
  assert.equal(isAtLeast('3.51.2', [3, 51, 3]), false)
  assert.equal(isAtLeast('3.9.9', [3, 51, 3]), false)
  assert.equal(isAtLeast('3.51', [3, 51, 3]), false)
})

test('`remoteFileSystem` knows network disks, also when the kernel reports them with a sign', () => {
  assert.equal(remoteFileSystem(0x6969), 'NFS')
  assert.equal(remoteFileSystem(0xff534d42 | 0), 'CIFS')
  assert.equal(remoteFileSystem(0xef53), undefined)
})

test("`catalogError` puts the driver's codes into the archive's words", () => {
  const codeOf = (code: string): unknown => {
    const error = catalogError(new Database.SqliteError('x', code), '/catalog.db')
    return error instanceof ArchiveError ? error.code : undefined
  }

  assert.equal(codeOf('SQLITE_FULL'), 'DISK_FULL')
  assert.equal(codeOf('SQLITE_IOERR_FSYNC'), 'DISK_FAILED')
  assert.equal(codeOf('SQLITE_BUSY_SNAPSHOT'), 'ARCHIVE_LOCKED')
  assert.equal(codeOf('SQLITE_CORRUPT_INDEX'), 'CATALOG_UNUSABLE')
  assert.equal(codeOf('SQLITE_CONSTRAINT'), undefined)
  const bug = new TypeError('x')
  assert.equal(catalogError(bug, '/catalog.db'), bug)
})

test('the catalog tells a full disk from its consequences', async (t) => {
  const path = await filledCatalog(t)
  const handle = openSqlite(path, 'write')
  await handle.kysely.connection().execute(async () => {})
  const pages = Number(handle.raw.pragma('page_count', { simple: true }))
  handle.raw.pragma(`max_page_count = ${pages}`)

  const run = handle.kysely.transaction().execute(async (db) => {
    for (let at = 0; at < 100; at += 1) {
      await db
        .insertInto('details')
        .values({ text: `${at} ${'x'.repeat(10_000)}` })
        .execute()
    }
  })

  await assert.rejects(run, { code: 'SQLITE_FULL' })
  assert.equal(handle.raw.inTransaction, false)
  await handle.kysely.destroy()
})

test('a closed catalog leaves one file', async (t) => {
  const path = await filledCatalog(t)

  assert.deepEqual(readdirSync(join(path, '..')), ['catalog.db'])
})

test('HOLD_ORDER has every hold once', () => {
  assert.deepEqual([...HOLD_ORDER].toSorted(), [...HOLD_REASONS].toSorted())
})
