import type { CatalogTotals, RepoRow } from '../archive-rows.ts'
import { formatSize } from '../domain/size-text.ts'

/** What the archive holds of a repository, as a sentence for an alert. */
export function repoHolds(row: RepoRow | undefined): string {
  if (row === undefined) return 'nothing of it.'
  const { newest, snapshots } = row
  if (newest === undefined) return 'nothing of it yet; its files are not listed.'
  const sealed = snapshots.filter(({ state }) => state === 'sealed').length
  const held = `${newest.filesHeld} of ${counted(newest.filesListed, 'file')}, ${formatSize(newest.bytesHeld)}`
  const state = newest.state === 'sealed' ? 'sealed' : newest.state === 'blocked' ? 'blocked' : 'not complete yet'
  const others = snapshots.length - 1
  const past = others > 0 ? ` Of ${counted(others, 'other snapshot')} ${pastText(sealed, newest.state)}.` : ''
  return `${held} of commit ${newest.commit.slice(0, 10)} (${state}).${past}`
}

function pastText(sealed: number, newestState: string): string {
  const count = newestState === 'sealed' ? sealed - 1 : sealed
  return count === 1 ? '1 is sealed' : `${count} are sealed`
}

/** What the whole archive holds. */
export function archiveHolds(totals: CatalogTotals): string {
  const blobs = `${formatSize(totals.blobBytes)} in ${counted(totals.blobs, 'blob')}`
  const repos = counted(totals.repos, 'repository', 'repositories')
  const are = totals.snapshots === 1 ? 'is' : 'are'
  return `${blobs} of ${repos}; ${totals.sealedSnapshots} of ${counted(totals.snapshots, 'snapshot')} ${are} sealed.`
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
