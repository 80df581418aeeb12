import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findRepo, findSnapshot } from '../../src/cli/find-repo.ts'
import type { RepoName, RepoRef } from '../../src/domain/repo.ts'
import { verifyArchive } from '../../src/maintenance/verify-archive.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'

const signal = new AbortController().signal

function ref(name: string): RepoRef {
  return { type: 'model', name: name as RepoName }
}

test('an original stays what its name means although another repository has it now; that one is found by commit', async () => {
  await using hub = await startSimHub()
  const original = hub.world.addRepo('Qwen/A-1B', smallModel('original'))
  const { hubId } = hub.world.repo('Qwen/A-1B')
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const copy = hub.world.recreateRepo('Qwen/A-1B', smallModel('copy'))
  await vault.sync()
  const find = (revision?: string) => findSnapshot(vault.archive, { ref: ref('qwen/a-1b'), revision })

  const found = await find(original.slice(0, 8))

  assert.deepEqual([found.snapshot.commit, found.row.hubId, found.row.upstream], [original, hubId, 'recreated'])
  assert.equal((await find()).snapshot.commit, original)
  assert.equal((await find(copy.slice(0, 8))).snapshot.commit, copy)
  await assert.rejects(find('0'.repeat(40)), { code: 'SNAPSHOT_UNKNOWN', hint: new RegExp(original) })
  const verify = (commit?: string) =>
    verifyArchive(
      vault.archive,
      { ref: ref('Qwen/A-1B'), ...(commit === undefined ? {} : { commit: commit as never }) },
      vault.progress,
      signal,
    )
  const files = (await verify(original)).checkedFiles
  assert.ok(files > 0)
  assert.equal((await verify()).checkedFiles, files * 2)
})

test('a repository that was renamed is found by the name it was archived under', async () => {
  await using hub = await startSimHub()
  const commit = hub.world.addRepo('Qwen/Old-1B', smallModel('old'))
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.rename('Qwen/Old-1B', 'Qwen/New-1B')
  await vault.sync()

  assert.equal((await findRepo(vault.archive, ref('Qwen/Old-1B'))).ref.name, 'Qwen/New-1B')
  const found = await findSnapshot(vault.archive, { ref: ref('qwen/old-1b'), revision: commit })
  assert.equal(found.snapshot.commit, commit)
  await assert.rejects(findRepo(vault.archive, ref('Qwen/Never-1B')), { code: 'REPO_UNKNOWN' })
})
