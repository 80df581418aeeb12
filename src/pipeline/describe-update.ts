import type { RepoRow } from '../archive-rows.ts'
import { diffListings, MAX_PATHS_IN_EVENT, updateEvents } from '../domain/diff-listings.ts'
import type { Sha256 } from '../domain/digest.ts'
import type { ChangeEvent } from '../domain/events.ts'
import type { Listing } from '../domain/listing.ts'
import type { PipelineDeps } from './deps.ts'

/**
 * The events of a new head against the one before, with what the Hub does not tell: the SHA-256 of old small files, from
 * our own copies.
 */
export async function describeUpdate(
  deps: Pick<PipelineDeps, 'catalog'>,
  row: RepoRow,
  previous: Listing | undefined,
  listing: Listing,
): Promise<ChangeEvent[]> {
  if (previous === undefined) return []
  const { replaced } = diffListings(previous.files, listing.files)
  const paths = replaced.slice(0, MAX_PATHS_IN_EVENT).map((change) => change.path)
  return updateEvents(previous, listing, { heldSha256: await heldSha256(deps, row, paths) })
}

async function heldSha256(
  deps: Pick<PipelineDeps, 'catalog'>,
  { newest }: RepoRow,
  paths: readonly string[],
): Promise<ReadonlyMap<string, Sha256>> {
  const held = new Map<string, Sha256>()
  if (newest === undefined) return held
  for (const path of paths) {
    const sha256 = (await deps.catalog.file(newest.snapshotId, path))?.sha256
    if (sha256 !== undefined) held.set(path, sha256)
  }
  return held
}
