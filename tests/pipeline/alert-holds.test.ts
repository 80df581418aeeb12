import assert from 'node:assert/strict'
import { test } from 'node:test'
import { archiveHolds, repoHolds } from '../../src/pipeline/alert-holds.ts'

function totals(count: number) {
  return archiveHolds({
    repos: count,
    snapshots: count,
    sealedSnapshots: count,
    blobs: count,
    blobBytes: 5,
  } as never)
}

test('archiveHolds counts one of a thing as one', () => {
  assert.equal(totals(1), '5 B in 1 blob of 1 repository; 1 of 1 snapshot is sealed.')
  assert.equal(totals(2), '5 B in 2 blobs of 2 repositories; 2 of 2 snapshots are sealed.')
})

function holds(files: number, others: number) {
  const newest = { commit: 'a'.repeat(40), state: 'sealed', filesHeld: files, filesListed: files, bytesHeld: 5 }
  return repoHolds({ newest, snapshots: Array.from({ length: others + 1 }, () => newest) } as never)
}

test('repoHolds counts one of a thing as one', () => {
  assert.equal(holds(1, 1), '1 of 1 file, 5 B of commit aaaaaaaaaa (sealed). Of 1 other snapshot 1 is sealed.')
  assert.equal(holds(2, 2), '2 of 2 files, 5 B of commit aaaaaaaaaa (sealed). Of 2 other snapshots 2 are sealed.')
})
