import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

test('a server that answers with the whole file once a part is here starts it anew, and nothing is appended on trust', async () => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  const size = 12_000_000
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', size), lfs: true }] })
  const { sha256 } = await hub.world.file('Qwen/A-1B', 'm.bin')
  await using vault = await TestVault.open(hub)
  const isOfFile = { origin: 'cdn', header: { name: 'range', value: /./ } } as const
  hub.faults.add({ ...isOfFile, cutAfter: 3_000_000, times: 1 })
  hub.faults.add({ ...isOfFile, ignoreRange: true })

  const { sealed, failed } = await vault.sync()

  assert.deepEqual([sealed.length, failed], [1, []])
  assert.ok(provenBlobs(vault.root).includes(sha256))
})
