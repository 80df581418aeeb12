import type { AlertOutbox } from '../alert-port.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { LicenseLedger } from '../license-port.ts'
import type { Log } from '../log-port.ts'
import { prepareBulkComplete, type BulkComplete } from './bulk-complete.ts'
import { prepareBulk, type Bulk } from './bulk.ts'
import { appendEvents } from './events.ts'
import { SqliteLicenseLedger } from './license-ledger.ts'
import { Outbox } from './outbox.ts'
import type { Db } from './schema.ts'
import { catalogError, checkpointSqlite, type SqliteHandle } from './sqlite.ts'

/** An open catalog file: every step is one transaction, and they run one after another. */
export class CatalogFile implements AsyncDisposable {
  readonly archiveId: string
  readonly outbox: AlertOutbox
  readonly licenses: LicenseLedger
  protected readonly bulk: Bulk
  protected readonly bulkComplete: BulkComplete
  readonly #handle: SqliteHandle
  readonly #path: string
  readonly #isReadOnly: boolean
  readonly #log: Log
  #isClosed = false

  /** Takes over an open file whose schema is there. */
  constructor(handle: SqliteHandle, options: { path: string; archiveId: string; mode: 'write' | 'read'; log: Log }) {
    this.archiveId = options.archiveId
    this.#handle = handle
    this.bulk = prepareBulk(handle.raw)
    this.bulkComplete = prepareBulkComplete(handle.raw)
    this.#path = options.path
    this.#isReadOnly = options.mode === 'read'
    this.#log = options.log
    this.outbox = new Outbox(
      (step) => this.read(step),
      (step) => this.write(step),
    )
    this.licenses = new SqliteLicenseLedger(
      (step) => this.read(step),
      (step) => this.write(step),
      this.archiveId,
    )
  }

  async checkpoint(): Promise<void> {
    this.#refuseWhenReadOnly()
    await this.#checkpoint()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      // Also waits for the transaction that still runs.
      if (!this.#isReadOnly) await this.#checkpoint()
    } catch (error) {
      // Nothing is lost: the log is read at the next start.
      this.#log.warn({ component: 'catalog', err: error }, 'catalog closed without a checkpoint')
    }
    await this.#handle.kysely.destroy()
    if (this.#handle.raw.open) this.#handle.raw.close()
  }

  protected append(db: Db, changes: readonly ChangeEvent[]): Promise<LoggedEvent[]> {
    return appendEvents(db, this.archiveId, changes)
  }

  async #checkpoint(): Promise<void> {
    const { kysely, raw } = this.#handle
    try {
      await kysely.connection().execute(async () => checkpointSqlite(raw))
    } catch (error) {
      throw catalogError(error, this.#path)
    }
  }

  protected async write<T>(step: (db: Db) => Promise<T>): Promise<T> {
    this.#refuseWhenReadOnly()
    return this.read(step)
  }

  protected async read<T>(step: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await this.#handle.kysely.transaction().execute(step)
    } catch (error) {
      throw catalogError(error, this.#path)
    }
  }

  #refuseWhenReadOnly(): void {
    if (!this.#isReadOnly) return
    throw new ArchiveError('ARCHIVE_READ_ONLY', `the catalog ${this.#path} was opened for reading only`, {
      hint: 'another weightvault process writes this archive; ask it, or stop it',
    })
  }
}
