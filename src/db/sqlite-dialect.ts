import type Database from 'better-sqlite3'
import {
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type SqliteDatabase,
  type SqliteStatement,
} from 'kysely'

const MAX_STATEMENTS = 500
/** A longer text is a list of ids or rows, which rarely comes twice with the same length. */
const MAX_CACHED_TEXT = 4000

/**
 * Kysely over one open SQLite file, with three differences: statements are prepared once, schema changes are known to
 * roll back, and a transaction that SQLite ended by itself is not rolled back again.
 */
export class CatalogDialect extends SqliteDialect {
  readonly #raw: Database.Database

  constructor(raw: Database.Database) {
    super({ database: raw })
    this.#raw = raw
  }

  override createDriver(): SqliteDriver {
    return new CatalogDriver(this.#raw)
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalSqliteAdapter()
  }
}

/** SQLite rolls back schema changes: a migration that fails or dies leaves nothing. Kysely assumes it does not. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class CatalogDriver extends SqliteDriver {
  readonly #raw: Database.Database

  constructor(raw: Database.Database) {
    super({ database: withPreparedOnce(raw) })
    this.#raw = raw
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // After a full disk SQLite has rolled back already, and a second rollback would hide why.
    if (this.#raw.inTransaction) await super.rollbackTransaction(connection)
  }
}

/**
 * Keeps the most recently used statements. Preparing each anew costs most of the time of a short query, and the memory
 * of a statement is freed only when the garbage collector, which does not see it, happens to run.
 */
function withPreparedOnce(raw: Database.Database): SqliteDatabase {
  const prepared = new Map<string, SqliteStatement>()
  return {
    prepare(text) {
      const known = prepared.get(text)
      const statement = known ?? raw.prepare(text)
      if (text.length > MAX_CACHED_TEXT) return statement
      if (known !== undefined) prepared.delete(text)
      prepared.set(text, statement)
      for (const oldest of prepared.keys()) {
        if (prepared.size <= MAX_STATEMENTS) break
        prepared.delete(oldest)
      }
      return statement
    },
    close() {
      prepared.clear()
      raw.close()
    },
  }
}
