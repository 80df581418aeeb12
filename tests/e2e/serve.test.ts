/** The mirror as people start it: by `serve`, beside a service, and inside `run`. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { Sandbox, type RunningProgram } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { until } from '../support/until.ts'

const SERVING = (hub: { url: string }, mirror = '127.0.0.1:0'): string => `archive: ./archive
serve: { dashboard: off, mirror: "${mirror}" }
hub: { endpoint: "${hub.url}", confirm_loss: { misses: 3, over: 0s } }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`

/** Where the mirror says that it listens. */
async function mirrorOf(program: RunningProgram): Promise<string> {
  const pattern = /http:\/\/127\.0\.0\.1:[1-9]\d*/
  await program.whenPrinted(pattern)
  return pattern.exec(program.output)![0]
}

async function headOf(mirror: string): Promise<string | undefined> {
  const response = await fetch(`${mirror}/api/models/Qwen/A`)
  return response.ok ? ((await response.json()) as { sha: string }).sha : undefined
}

test('serve gives out what is archived without a Hub or a service, and ends when it is asked to', async () => {
  const hub = await startSimHub()
  const head = hub.world.addRepo('Qwen/A', { files: [{ path: 'a.txt', content: 'one' }] })
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  await hub[Symbol.asyncDispose]()
  await sandbox.configure(SERVING({ url: 'http://127.0.0.1:9' }))
  const program = sandbox.start(['serve'])
  const mirror = await mirrorOf(program)
  assert.equal(await headOf(mirror), head)
  assert.equal(await (await fetch(`${mirror}/Qwen/A/resolve/main/a.txt`)).text(), 'one')
  program.kill('SIGTERM')
  assert.equal((await program.ended).code, 0)
})

test('run serves what it seals, and serve works beside it', async () => {
  await using hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A', { files: [{ path: 'a.txt', content: 'one' }] })
  await using sandbox = await Sandbox.make(hub)
  await sandbox.configure(SERVING(hub))
  const service = sandbox.start(['run', '--log-level', 'info'])
  const inside = await mirrorOf(service)
  await until('the first commit is served', async () => (await headOf(inside)) === first)
  const beside = await mirrorOf(sandbox.start(['serve']))
  assert.equal(await headOf(beside), first)
  const second = hub.world.commit('Qwen/A', { set: [{ path: 'a.txt', content: 'two' }] })
  for (const mirror of [inside, beside]) {
    await until('the second commit is served', async () => (await headOf(mirror)) === second)
    assert.equal(await (await fetch(`${mirror}/Qwen/A/resolve/main/a.txt`)).text(), 'two')
    assert.equal(await (await fetch(`${mirror}/Qwen/A/resolve/${first}/a.txt`)).text(), 'one')
  }
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
  assert.equal(await headOf(beside), second, 'it does not need the service')
})

test('a port that is taken ends serve and run with a sentence', async () => {
  await using hub = await startSimHub()
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  await sandbox.configure(SERVING(hub, `127.0.0.1:${port}`))
  for (const command of ['serve', 'run']) {
    const { code, data } = await sandbox.json([command])
    assert.equal(code, 9, command)
    assert.equal(data.error.code, 'ADDRESS_UNUSABLE')
    assert.match(data.error.message, new RegExp(`127\\.0\\.0\\.1:${port}`))
  }
  other.close()
})

test('serve with nothing to serve, or open to everybody without a token, is refused', async () => {
  await using hub = await startSimHub()
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  assert.equal((await sandbox.json(['serve'])).data.error.code, 'CONFIG_INVALID')
  await sandbox.configure(SERVING(hub, '0.0.0.0:0'))
  assert.equal((await sandbox.json(['serve'])).data.error.code, 'CONFIG_INVALID')
})
