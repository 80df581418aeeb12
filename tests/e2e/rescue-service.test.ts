import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

test('a running service takes a rescue, finds the old commits and fetches what is missing', async () => {
  await using hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A-1B', smallModel('first'))
  hub.world.commit('Qwen/A-1B', {
    set: [{ path: 'model.safetensors', content: generated('second', 40_000), lfs: true }],
  })
  await using sandbox = await Sandbox.make(hub)
  const service = sandbox.start(['run'])
  await service.whenPrinted(/service started/)

  const asked = await until('the repository is known to the service', async () => {
    const run = await sandbox.run(['rescue', 'Qwen', '--json'])
    return run.code === 0 && run
  })
  const rescued = await until('the old commit is sealed', async () => {
    const { data } = await sandbox.json(['show', `Qwen/A-1B@${first}`])
    return data.files?.length > 0 && data.files.every(({ held }) => held) && data
  })

  assert.equal((JSON.parse(asked.stdout) as { rescues: unknown[] }).rescues.length, 1)
  assert.equal(rescued.files.length, 3)
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
})
