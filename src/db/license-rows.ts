import type { LicenseFile, LicenseReading, LicenseRole } from '../domain/license-entry.ts'
import { licenseFormOf, type LicenseKind } from '../domain/license-form.ts'
import type { RepoName } from '../domain/repo.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { LicenseRow } from '../license-port.ts'
import { commitOf, pathOfKey, refOf, sha256Of, unpackLicense } from './codec.ts'
import type { LicensesTable } from './license-tables.ts'
import type { Db } from './schema.ts'

/** The ledger's entries behind rows of `licenses`, each with its files. */
export async function rowsOf(db: Db, rows: readonly LicensesTable[]): Promise<LicenseRow[]> {
  const found: LicenseRow[] = []
  for (const row of rows) found.push(await rowOf(db, row))
  return found
}

async function rowOf(db: Db, row: LicensesTable): Promise<LicenseRow> {
  const snapshot = await db
    .selectFrom('snapshots')
    .innerJoin('repos', 'repos.id', 'snapshots.repo_id')
    .select(['snapshots.name', 'repos.type', 'snapshots.commit_id', 'snapshots.listed_at'])
    .where('snapshots.id', '=', row.snapshot_id)
    .executeTakeFirstOrThrow()
  const files = await db
    .selectFrom('license_files')
    .innerJoin('files', (join) =>
      join
        .onRef('files.snapshot_id', '=', 'license_files.snapshot_id')
        .onRef('files.path_key', '=', 'license_files.path_key'),
    )
    .leftJoin('blobs', 'blobs.id', 'files.blob_id')
    .leftJoin('license_readings', 'license_readings.id', 'license_files.reading_id')
    .select(['license_files.path_key', 'license_files.role', 'files.size', 'blobs.sha256', 'license_readings.reading'])
    .where('license_files.snapshot_id', '=', row.snapshot_id)
    .orderBy('license_files.path_key')
    .execute()
  const read = files.map(fileOf)
  return {
    ...stated(row, read),
    snapshotId: row.snapshot_id,
    repoId: row.repo_id,
    ref: refOf(snapshot),
    commit: commitOf(snapshot.commit_id),
    at: snapshot.listed_at,
    tags: JSON.parse(row.tags) as string[],
    baseModels: JSON.parse(row.base_models) as RepoName[],
    gateTerms: row.gate_terms === null ? undefined : (JSON.parse(row.gate_terms) as string),
    files: read,
  }
}

function fileOf(row: {
  path_key: Buffer
  role: string
  size: number
  sha256: Buffer | null
  reading: string | null
}): LicenseFile {
  return {
    path: pathOfKey(row.path_key),
    role: row.role as LicenseRole,
    size: row.size,
    sha256: row.sha256 === null ? undefined : sha256Of(row.sha256),
    reading: row.reading === null ? undefined : (JSON.parse(row.reading) as LicenseReading),
  }
}

function stated(row: LicensesTable, files: readonly LicenseFile[]): Pick<LicenseRow, 'stated' | 'form' | 'statedBy'> {
  const card = files.find(({ role }) => role === 'card')?.reading
  const form = card?.role === 'card' && card.stated !== undefined ? licenseFormOf(card.stated, parseSpdx) : undefined
  if (row.spdx === null && form !== undefined && card?.role === 'card' && card.stated !== undefined) {
    return { stated: card.stated, form, statedBy: 'card' }
  }
  const kind = (row.kind ?? 'unknown') as LicenseKind
  return {
    stated: unpackLicense(row.stated),
    form: row.spdx === null ? undefined : { expression: row.spdx, kind },
    statedBy: 'hub',
  }
}
