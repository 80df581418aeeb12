import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLargeFiles, checkWatches } from '../../src/cli/doctor-checks.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

const never = new AbortController().signal

test('checkLargeFiles warns of single files above 50 GB, and says what to do', async () => {
  await using hub = await startSimHub()
  const huge = { path: 'huge.gguf', content: generated('huge', 50_000_000_001), sha256: 'a'.repeat(64), lfs: true }
  hub.world.addRepo('Qwen/Huge', { card: { license: 'mit' }, files: [huge] })
  await using vault = await TestVault.open(hub)

  const before = await checkLargeFiles(vault.archive, never)
  await vault.sync({ checkOnly: true })
  const after = await checkLargeFiles(vault.archive, never)

  assert.equal(before.status, 'ok')
  assert.equal(after.status, 'warn')
  assert.match(after.message, /1 file larger than 50\.0 GB: Qwen\/Huge huge\.gguf 50\.0 GB/)
  assert.match(after.advice ?? '', /keep\.exclude/)
})

test('checkWatches sees a clock that runs behind, failed polls and polls that are overdue', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', { card: { license: 'mit' }, files: [{ path: 'config.json', content: '{}' }] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const at = (ms: number) => ({ ...vault.archive, clock: { ...vault.archive.clock, now: () => Date.now() + ms } })

  const behind = await checkWatches(at(-3_600_000))
  const overdue = await checkWatches(at(3_600_000))
  await vault.archive.catalog.recordPollFailure('org:Qwen', new Date().toISOString(), 'HUB_UNREACHABLE', 'no route', [])
  const failed = await checkWatches(vault.archive)

  assert.deepEqual(
    behind.map(({ name, status }) => [name, status]),
    [['clock', 'fail']],
  )
  assert.match(overdue[0]!.message, /last polled 1h ago, every 1s/)
  assert.match(failed[0]!.message, /org:Qwen: HUB_UNREACHABLE no route/)
})
