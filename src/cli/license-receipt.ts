import type { RepoRow, SnapshotRow } from '../archive-rows.ts'
import { printRepo } from '../domain/repo.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { LicenseRow } from '../license-port.ts'
import { jsonObject } from './json-pieces.ts'
import { licenseJson } from './license-json.ts'
import { eachFile } from './read-pages.ts'
import { isHeld } from './repo-json.ts'

const NOTE =
  'Evidence of what the Hub stated and sent when it was archived: which licence, by text digest and commit, stood beside ' +
  'which bytes. It is not legal advice, and no promise that the licence is valid or that the publisher could grant it.'

/**
 * One JSON statement: the licence of a commit and the SHA-256 of every file of it that is held. The listing's digest
 * leads to the whole promise; every digest can be checked with `sha256sum` in the archive.
 */
export async function* receiptText(
  archive: Pick<OpenedArchive, 'catalog' | 'records'>,
  { row, snapshot, license }: { row: RepoRow; snapshot: SnapshotRow; license: LicenseRow | undefined },
  signal: AbortSignal,
): AsyncIterable<string> {
  const listed = await archive.records.readListingHead(snapshot.ref.name, snapshot.commit)
  const head = {
    format: 'weightvault-license-receipt/1',
    note: NOTE,
    repo: printRepo(snapshot.ref),
    nameNow: printRepo(row.ref),
    hubId: row.hubId,
    endpoint: listed?.listing.endpoint ?? null,
    commit: snapshot.commit,
    listedAt: snapshot.listedAt,
    sealedAt: snapshot.sealedAt ?? null,
    gated: listed?.listing.gated ?? null,
    listingSha256: listed?.sha256 ?? null,
    license: license === undefined ? null : await licenseJson(archive, license),
  }
  let files = 0
  let bytes = 0
  yield* jsonObject(head, [{ key: 'files', elements: held() }], () => ({ filesCovered: files, bytesCovered: bytes }))

  async function* held(): AsyncIterable<unknown> {
    for await (const file of eachFile(archive.catalog, snapshot.snapshotId, signal)) {
      if (!isHeld(file)) continue
      files += 1
      bytes += file.size
      yield { path: file.path, size: file.size, sha256: file.sha256, attestedBy: file.attestedBy }
    }
  }
}
