import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { startFaultProxy } from '../support/fault-proxy/start-fault-proxy.ts'
import { provenBlobs } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
/** Sockets of both sides, and the piece under way. */
const IN_FLIGHT_BYTES = 18 * MIB
const SIZE = 64 * MIB + 77

test('killed again and again while wrong bytes are compared, one sync then replaces the block that came wrongly', async (t) => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/Large-1B', {
    files: [{ path: 'model.safetensors', content: generated('large', SIZE), lfs: true }],
  })
  await using proxy = await startFaultProxy(hub)
  // At the end, so that a look has to come through all of the file to find it.
  proxy.faults.add({ origin: 'cdn', flip: { file: SIZE - 5 }, times: 1 })
  await using sandbox = await Sandbox.make(proxy)

  // The first of these runs also fetches the file, wrongly.
  for (const bytes of [SIZE + 30 * MIB, 20 * MIB]) {
    const killedAt = proxy.bytesDelivered + bytes
    const program = sandbox.start(['sync'])
    // Nothing comes after the point until the program is dead.
    const dead = Promise.withResolvers<void>()
    proxy.watch = () => (proxy.bytesDelivered >= killedAt ? dead.promise : undefined)
    await until(`${bytes} bytes`, () => proxy.bytesDelivered >= killedAt)
    program.kill('SIGKILL')
    assert.equal((await program.ended).signal, 'SIGKILL')
    proxy.watch = undefined
    dead.resolve()
    t.diagnostic(`killed after ${proxy.bytesDelivered} bytes`)
    assert.deepEqual(provenBlobs(sandbox.root), [])
  }
  const before = proxy.bytesDelivered
  const last = await sandbox.run(['sync'])

  assert.equal(last.code, 0, last.stdout + last.stderr)
  const { sha256 } = await hub.world.file('Qwen/Large-1B', 'model.safetensors')
  assert.ok(provenBlobs(sandbox.root).includes(sha256))
  assert.deepEqual(readdirSync(join(sandbox.root, 'quarantine')), [])
  assert.deepEqual(readdirSync(join(sandbox.root, 'partial')), [])
  const came = proxy.bytesDelivered - before
  t.diagnostic(`${came} bytes came after the kills`)
  assert.ok(came < SIZE - 50 * MIB + 2 * IN_FLIGHT_BYTES + 4 * MIB, `${came} bytes: the look went on where it was`)
})
