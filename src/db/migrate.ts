import { closeSync, fsyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import type { Migration } from 'kysely/migration'
import { ArchiveError } from '../domain/errors.ts'
import type { Log } from '../log-port.ts'
import { initMigration } from './migrations/0001-init.ts'
import { statesMigration } from './migrations/0002-states.ts'
import { licensesMigration } from './migrations/0003-licenses.ts'
import { alertsMigration } from './migrations/0004-alerts.ts'
import { sourcesMigration } from './migrations/0006-sources.ts'
import { listedDigestsMigration } from './migrations/0007-listed-digests.ts'
import { SQLITE_TYPES, type SqliteHandle } from './sqlite.ts'

/** Every schema change by name, in order. A name is never reused and a published migration never edited. */
export const MIGRATIONS: ReadonlyMap<string, Migration> = new Map([
  ['0001-init', initMigration(SQLITE_TYPES)],
  ['0002-states', statesMigration(SQLITE_TYPES)],
  ['0003-licenses', licensesMigration(SQLITE_TYPES)],
  ['0004-alerts', alertsMigration(SQLITE_TYPES)],
  ['0006-sources', sourcesMigration(SQLITE_TYPES)],
  ['0007-listed-digests', listedDigestsMigration(SQLITE_TYPES)],
])

/** What a migration of a catalog needs to know. */
export interface MigrateOptions {
  readonly path: string
  readonly mode: 'write' | 'read'
  readonly migrations: ReadonlyMap<string, Migration>
  readonly now: () => number
  readonly log: Log
}

/**
 * Brings the schema up to this version, all or nothing; a catalog that has rows is copied first and the copy proven.
 * @throws ArchiveError CATALOG_UNUSABLE when a newer program made it, or when it is older and may only be read
 */
export async function migrateCatalog(handle: SqliteHandle, options: MigrateOptions): Promise<void> {
  const { path, migrations } = options
  const applied = appliedMigrations(handle.raw)
  const unknown = applied.filter((name) => !migrations.has(name))
  if (unknown.length > 0) {
    throw new ArchiveError('CATALOG_UNUSABLE', `the catalog ${path} was made by a newer weightvault`, {
      hint: 'use that version or a newer one; nothing was changed',
      details: { unknownMigrations: unknown },
    })
  }
  const pending = [...migrations.keys()].filter((name) => !applied.includes(name))
  if (pending.length === 0) return
  if (options.mode === 'read') {
    throw new ArchiveError('CATALOG_UNUSABLE', `the catalog ${path} was made by an older weightvault`, {
      hint: 'run `weightvault sync` or `weightvault run` once: it brings the catalog up to date',
      details: { pendingMigrations: pending },
    })
  }
  if (applied.length > 0) backUp(handle.raw, path, pending[0] ?? '', options)
  // Nearly every start has nothing to migrate.
  const { Migrator } = await import('kysely/migration')
  const migrator = new Migrator({
    db: handle.kysely,
    provider: { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) },
  })
  const { error } = await migrator.migrateToLatest()
  if (error instanceof Error) throw error
  if (error !== undefined) throw new Error('the migration failed', { cause: error })
  options.log.info({ component: 'catalog', migrations: pending }, 'catalog schema brought up to date')
}

function appliedMigrations(raw: Database.Database): string[] {
  const exists = raw.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'kysely_migration'").get()
  if (exists === undefined) return []
  return raw.prepare<[], string>('SELECT name FROM kysely_migration ORDER BY name').pluck().all()
}

/** Copies the catalog beside itself and proves the copy: whole, and with the same rows. */
function backUp(raw: Database.Database, path: string, before: string, options: MigrateOptions): void {
  const copyPath = `${path}.before-${before}-${options.now()}`
  raw.prepare('VACUUM INTO ?').run(copyPath)
  const copy = new Database(copyPath, { readonly: true })
  try {
    const verdict = copy.pragma('integrity_check', { simple: true })
    const same = JSON.stringify(rowCounts(raw)) === JSON.stringify(rowCounts(copy))
    if (verdict !== 'ok' || !same) {
      throw new ArchiveError('CATALOG_UNUSABLE', `the backup ${copyPath} of the catalog is not good`, {
        hint: 'the schema was not changed; check the disk, remove the backup and start again',
        details: { integrityCheck: verdict, sameRowCounts: same },
      })
    }
  } finally {
    copy.close()
  }
  syncToDisk(copyPath)
  syncToDisk(dirname(copyPath))
  options.log.info({ component: 'catalog', backup: copyPath }, 'catalog backed up before its schema changes')
}

function rowCounts(raw: Database.Database): [string, number][] {
  const tables = raw
    .prepare<[], string>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
    )
    .pluck()
    .all()
  return tables.map((table) => [table, Number(raw.prepare(`SELECT count(*) FROM "${table}"`).pluck().get())])
}

function syncToDisk(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
