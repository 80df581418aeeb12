import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

test('the page of a running service follows the watch list as it is edited', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using sandbox = await Sandbox.make(hub)
  await sandbox.configure(`archive: ./archive
serve: { dashboard: "127.0.0.1:0", mirror: off }
hub: { endpoint: "${hub.url}" }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`)
  const service = sandbox.start(['run', '--log-level', 'info'])
  await service.whenPrinted(/sealed .*Qwen\/A-1B/)
  const origin = /"origin":"(http:\/\/127\.0\.0\.1:\d+)"/.exec(service.output)?.[1] ?? ''
  const page = async () => (await fetch(origin)).text()
  const first = await page()

  await sandbox.run(['watch', 'add', 'user:unsloth', '--every', '7d'])
  await until('the new entry is on the page', async () => (await page()).includes('<td>user:unsloth</td>'))
  await sandbox.run(['watch', 'rm', 'org:Qwen'])
  await until('the removed entry is off the page', async () => !(await page()).includes('<td>org:Qwen</td>'))
  service.kill('SIGTERM')

  assert.match(first, /<td>org:Qwen<\/td>/)
  assert.equal((await service.ended).code, 0)
})
