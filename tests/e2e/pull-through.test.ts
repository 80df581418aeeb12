/** The mirror of a service that may fetch what it is asked for. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { Sandbox, type RunningProgram } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { until } from '../support/until.ts'

const SIZE = 2_000_000

const config = (hub: SimHub, pullThrough: boolean): string => `archive: ./archive
serve: { dashboard: off, mirror: "127.0.0.1:0", pull_through: ${pullThrough} }
hub: { endpoint: "${hub.url}", confirm_loss: { misses: 3, over: 0s } }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s, keep: { exclude: ["*.gguf"] } }
`

async function startService(sandbox: Sandbox): Promise<{ service: RunningProgram; mirror: string }> {
  const service = sandbox.start(['run', '--log-level', 'info'])
  const pattern = /http:\/\/127\.0\.0\.1:[1-9]\d*/
  await service.whenPrinted(pattern)
  const mirror = pattern.exec(service.output)![0]
  await until('the commit is served', async () => (await fetch(`${mirror}/api/models/Qwen/A`)).ok)
  return { service, mirror }
}

function fill(hub: SimHub): void {
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'config.json', content: '{}' },
      { path: 'big.gguf', content: generated('left out', SIZE) },
      { path: 'other.gguf', content: generated('other', 1000) },
    ],
  })
}

test('with pull_through a file that was left out is fetched once, verified, sealed, and given to all who wait', async () => {
  await using hub = await startSimHub()
  fill(hub)
  const { sha256 } = await hub.world.file('Qwen/A', 'big.gguf')
  await using sandbox = await Sandbox.make(hub)
  await sandbox.configure(config(hub, true))
  const { mirror } = await startService(sandbox)
  const served = hub.bytesServed()

  const answers = await Promise.all(
    Array.from({ length: 5 }, () =>
      until('the file is given', async () => {
        const response = await fetch(`${mirror}/Qwen/A/resolve/main/big.gguf`)
        const bytes = Buffer.from(await response.arrayBuffer())
        if (response.status === 200) return bytes
        // It may take longer than a visitor is kept waiting.
        assert.equal(response.status, 503, bytes.toString())
        return undefined
      }),
    ),
  )

  for (const bytes of answers) assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256)
  assert.ok(hub.bytesServed() - served < 2 * SIZE, 'once, for all of them')
  const info = (await (await fetch(`${mirror}/api/models/Qwen/A`)).json()) as { weightvault: { filesHeld: number } }
  const shown = await sandbox.json(['show', 'Qwen/A'])
  const held = shown.data.files.filter((file) => file.held).map((file) => file.path)
  assert.ok(held.includes('big.gguf') && !held.includes('other.gguf'), held.join())
  assert.equal(info.weightvault.filesHeld, held.length)
  assert.equal((await fetch(`${mirror}/Qwen/A/resolve/main/missing.gguf`)).status, 404)
})

test('without it nothing is fetched for visitors', async () => {
  await using hub = await startSimHub()
  fill(hub)
  await using sandbox = await Sandbox.make(hub)
  await sandbox.configure(config(hub, false))
  const { mirror } = await startService(sandbox)
  hub.clearRequests()
  const response = await fetch(`${mirror}/Qwen/A/resolve/main/big.gguf`)
  assert.equal(response.status, 404)
  assert.equal(hub.requests.filter(({ path }) => path.includes('big.gguf')).length, 0)
})
