import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { ArchiveError } from '../domain/errors.ts'
import type { Catalog } from '../catalog-port.ts'
import type { Log } from '../log-port.ts'
import { SqliteCatalog } from './catalog.ts'
import { assertLocalDisk } from './local-disk.ts'
import { readMeta, writeMeta } from './meta.ts'
import { migrateCatalog, MIGRATIONS, type MigrateOptions } from './migrate.ts'
import { openForReading } from './open-for-reading.ts'
import { catalogError, MAKES_CATALOG, openSqlite, probeFile, type SqliteHandle } from './sqlite.ts'

export interface OpenCatalogOptions {
  readonly path: string
  /** The archive this catalog belongs to; a catalog of another archive is refused. */
  readonly archiveId: string
  /** `write` makes or migrates the file; one process at a time. `read` changes nothing. */
  readonly mode: 'write' | 'read'
  readonly now?: () => number
  readonly log: Log
  /** Only for tests of migrations. */
  readonly migrations?: MigrateOptions['migrations']
}

/**
 * Opens the catalog.
 * @throws ArchiveError CATALOG_UNUSABLE (missing, damaged, of another archive, older and read-only, or newer),
 *   DISK_FULL, DISK_FAILED, ARCHIVE_LOCKED
 */
export async function openCatalog(options: OpenCatalogOptions): Promise<Catalog> {
  const { path, mode } = options
  if (mode === 'read' && !existsSync(path)) {
    throw new ArchiveError('CATALOG_UNUSABLE', `there is no catalog at ${path}`, {
      hint: MAKES_CATALOG,
    })
  }
  if (!existsSync(dirname(path))) {
    throw new ArchiveError('CATALOG_UNUSABLE', `there is no folder for the catalog ${path}`, {
      hint: 'is the disk of the archive mounted?',
    })
  }
  assertLocalDisk(dirname(path))
  let handle: SqliteHandle | undefined
  try {
    handle = mode === 'read' ? openForReading(path) : openSqlite(path, mode)
    await migrateCatalog(handle, {
      path,
      mode,
      migrations: options.migrations ?? MIGRATIONS,
      now: options.now ?? Date.now,
      log: options.log,
    })
    probeFile(handle.raw)
    await claimArchive(handle, options)
    return new SqliteCatalog(handle, { path, archiveId: options.archiveId, mode, log: options.log })
  } catch (error) {
    handle?.raw.close()
    throw catalogError(error, path)
  }
}

const ARCHIVE_ID = 'archive_id'

async function claimArchive(handle: SqliteHandle, options: OpenCatalogOptions): Promise<void> {
  const id = await readMeta(handle.kysely, ARCHIVE_ID)
  if (id === options.archiveId) return
  if (id === undefined && options.mode === 'write') return writeMeta(handle.kysely, ARCHIVE_ID, options.archiveId)
  throw new ArchiveError('CATALOG_UNUSABLE', `the catalog ${options.path} belongs to another archive`, {
    hint: 'move it away; `weightvault rebuild` makes the catalog of this archive again from its files',
    details: { expected: options.archiveId, found: id ?? null },
  })
}
