import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { MIGRATIONS } from '../../src/db/migrate.ts'
import { openCatalog } from '../../src/db/open-catalog.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import { addListed, quietLog, smallFile } from './catalog-fixtures.ts'

const addNotes: Migration = {
  async up(db) {
    await sql`CREATE TABLE notes (text TEXT NOT NULL) STRICT`.execute(db)
    await sql`ALTER TABLE repos ADD COLUMN note TEXT`.execute(db)
  },
}
const NOW = 1_800_000_000_000

async function setUp(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-migrate-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.db')
  await using catalog = await open(path)
  await addListed(catalog, 'Qwen/A', [smallFile('a'), smallFile('b')])
  return path
}

function open(path: string, change: { second?: Migration; mode?: 'write' | 'read' } = {}): Promise<Catalog> {
  const migrations = new Map(MIGRATIONS)
  if (change.second !== undefined) migrations.set('9002-notes', change.second)
  const options = { path, archiveId: '0123456789ab', now: () => NOW, log: quietLog, migrations }
  return openCatalog({ ...options, mode: change.mode ?? 'write' })
}

function tablesOf(path: string): unknown[] {
  const database = new Database(path, { readonly: true })
  try {
    return database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()
  } finally {
    database.close()
  }
}

test('`migrateCatalog` that fails half-way leaves the schema as it was', async (t) => {
  const path = await setUp(t)
  const broken: Migration = {
    async up(db) {
      await addNotes.up(db)
      throw new Error('half-way')
    },
  }

  await assert.rejects(open(path, { second: broken }), /half-way/)

  assert.ok(!tablesOf(path).includes('notes'))
  await using catalog = await open(path)
  assert.equal((await catalog.totals()).filesListed, 2)
})

test('`migrateCatalog` changes nothing when it cannot make a good backup', async (t) => {
  const path = await setUp(t)
  writeFileSync(`${path}.before-9002-notes-${NOW}`, 'something is in the way')

  await assert.rejects(open(path, { second: addNotes }))

  assert.ok(!tablesOf(path).includes('notes'))
})

test('`migrateCatalog` backs up a catalog with content before it changes it, and not a new one', async (t) => {
  const path = await setUp(t)
  assert.deepEqual(readdirSync(join(path, '..')), ['catalog.db'])

  await using catalog = await open(path, { second: addNotes })

  assert.equal((await catalog.totals()).filesListed, 2)
  const backup = `${path}.before-9002-notes-${NOW}`
  assert.ok(!tablesOf(backup).includes('notes'))
  // The copy is a catalog of the old version, ready to be put back.
  await using old = await open(backup)
  assert.equal((await old.totals()).filesListed, 2)
})

test('`openCatalog` for reading does not migrate', async (t) => {
  const path = await setUp(t)

  const run = open(path, { second: addNotes, mode: 'read' })

  await assert.rejects(run, { code: 'CATALOG_UNUSABLE', message: /older weightvault/ })
  assert.ok(!tablesOf(path).includes('notes'))
})

test('`openCatalog` leaves a catalog of a newer version alone', async (t) => {
  const path = await setUp(t)
  await (await open(path, { second: addNotes }))[Symbol.asyncDispose]()

  for (const mode of ['write', 'read'] as const) {
    await assert.rejects(open(path, { mode }), { code: 'CATALOG_UNUSABLE', message: /made by a newer weightvault/ })
  }

  await using catalog = await open(path, { second: addNotes })
  assert.equal((await catalog.totals()).filesListed, 2)
})
