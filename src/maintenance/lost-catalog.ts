import { ArchiveError } from '../domain/errors.ts'
import type { OpenedArchive } from '../opened-archive.ts'

/**
 * A catalog that was lost and begun anew knows of nothing that is archived: that is not the same as an empty archive.
 * @throws ArchiveError CATALOG_UNUSABLE when the catalog is empty beside listings on disk
 */
export async function assertCatalogKnows({
  catalog,
  records,
  root,
}: Pick<OpenedArchive, 'catalog' | 'records' | 'root'>): Promise<void> {
  if ((await catalog.totals()).snapshots > 0) return
  for await (const { name } of records.listings()) {
    throw new ArchiveError('CATALOG_UNUSABLE', `the catalog of ${root} is empty, but the archive has ${name}`, {
      hint: '`weightvault rebuild` makes the catalog again from the archive’s files',
    })
  }
}
