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
  const stop = new AbortController()
  let moved = 0
  vault.progress.moved = (_file?: unknown, bytes = 0): void => {
    moved += bytes
    if (moved >= size / 2) stop.abort()
  }
  const drip = hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 256 * 1024, everyMs: 5 } })
  await assert.rejects(vault.sync({ signal: stop.signal }), { name: 'AbortError' })
  assert.ok(moved < size)
  drip.remove()
  hub.faults.add({ origin: 'cdn', ignoreRange: true })

  const { sealed, failed } = await vault.sync()

  assert.deepEqual([sealed.length, failed], [1, []])
  assert.ok(
    vault.progress.resumedAt.some((bytes) => bytes > 0),
    'a part was here',
  )
  assert.ok(provenBlobs(vault.root).includes(sha256))
})
