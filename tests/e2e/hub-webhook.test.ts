import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

const SECRET = 'secret-of-sixteen'

test('a webhook makes the service look long before its time; what it claims is asked about, not believed', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using sandbox = await Sandbox.make(hub)
  await sandbox.configure(`archive: ./archive
serve: { dashboard: "127.0.0.1:0", mirror: off }
hub: { endpoint: "${hub.url}", webhook_secret: "${SECRET}" }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 7d }
`)
  const service = sandbox.start(['run', '--log-level', 'info'])
  await service.whenPrinted(/sealed .*Qwen\/A-1B/)
  const origin = /"origin":"(http:\/\/127\.0\.0\.1:\d+)"/.exec(service.output)?.[1] ?? ''
  const commit = hub.world.commit('Qwen/A-1B', { card: { license: 'mit' } })
  const payload = {
    event: { action: 'delete', scope: 'repo' },
    repo: { type: 'model', name: 'Qwen/A-1B', headSha: 'f'.repeat(40) },
    webhook: { id: '1', version: 3 },
  }
  const post = (secret: string): Promise<Response> =>
    fetch(`${origin}/webhooks/huggingface`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
      body: JSON.stringify(payload),
    })

  assert.equal((await post('wrong')).status, 401)
  assert.equal((await post(SECRET)).status, 202)
  const [updated] = await until('the new commit is noticed', async () => {
    const found = (await sandbox.events()).filter(({ type }) => type === 'repo-updated')
    return found.length > 0 && found
  })
  const feed = await (await fetch(`${origin}/feeds/events.json?min=info`)).text()
  service.kill('SIGTERM')

  assert.equal((await service.ended).code, 0)
  assert.match(JSON.stringify(updated), new RegExp(commit))
  assert.ok(
    (await sandbox.events()).every(({ type }) => type !== 'repo-unavailable'),
    'nothing was deleted',
  )
  assert.match(feed, /Qwen\/A-1B: updated/)
})
