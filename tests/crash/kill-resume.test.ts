import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { Sandbox, WATCH_QWEN } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { killAt } from './kill-at.ts'

const MIB = 1024 * 1024
const BLOCK_BYTES = MIB
const PIECE_BYTES = 4 * MIB
/** Sockets of both sides. */
const IN_FLIGHT_BYTES = 14 * MIB

test('a kill costs at most the piece under way: what is on disk is not fetched again', async (t) => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  const size = 80 * MIB
  hub.world.addRepo('Qwen/Big-8B', {
    files: [{ path: 'model.safetensors', content: generated('big', size), lfs: true }],
  })
  hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 256 * 1024, everyMs: 3 } })
  // One connection, so that what is under way is known.
  await using sandbox = await Sandbox.make(hub, `${WATCH_QWEN}\ndownload: { sequential: true }\n`)

  let resumedAt = 0
  for (const target of [30 * MIB, 62 * MIB]) {
    await killAt(sandbox, hub, { kind: 'bytes', count: target - resumedAt })
    hub.clearRequests()
    const probe = sandbox.start(['sync'])
    const { headers } = await hub.whenRequested(({ origin }) => origin === 'cdn')
    probe.kill('SIGKILL')
    await probe.ended
    resumedAt = Number(/^bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1])
    t.diagnostic(`killed after ${target} bytes, went on at ${resumedAt}`)
    // What the Hub wrote is not yet what arrived: the connection itself holds some MiB.
    assert.ok(resumedAt > target - PIECE_BYTES - IN_FLIGHT_BYTES, `went on at ${resumedAt} after ${target}`)
    assert.equal(resumedAt % BLOCK_BYTES, 0, 'only whole blocks survive a kill')
  }

  assert.equal((await sandbox.run(['sync'])).code, 0)
})
