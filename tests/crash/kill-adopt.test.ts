import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { until } from '../support/until.ts'

const FILES = 60

test('an adopt that is killed published only whole blobs, and the next one goes on and seals', async (t) => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Big-8B', {
    files: Array.from({ length: FILES }, (_, at) => ({
      path: `model-${at}.safetensors`,
      content: generated(`part ${at}`, 1_000_000),
      lfs: true,
    })),
  })
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  assert.equal((await sandbox.run(['restore', 'Qwen/Big-8B', '--to', 'files', '--link', 'never'])).code, 0)
  rmSync(sandbox.root, { recursive: true })
  assert.equal((await sandbox.run(['sync', '--check'])).code, 20)
  hub.clearRequests()
  const blobs = join(sandbox.root, 'blobs', 'sha256')
  const published = (): number =>
    existsSync(blobs)
      ? readdirSync(blobs, { recursive: true, encoding: 'utf8' }).filter((name) => /[0-9a-f]{64}$/.test(name)).length
      : 0
  let kills = 0
  for (const target of [1, 9, 20, 33, 45]) {
    const program = sandbox.start(['adopt', 'files'])
    let isOver = false
    void program.ended.finally(() => (isOver = true))
    await until(`${target} blobs`, () => isOver || published() >= target)
    program.kill('SIGKILL')
    if ((await program.ended).signal !== 'SIGKILL') break
    kills += 1
    assert.equal(provenBlobs(sandbox.root).length, published(), 'every name has its bytes')
  }
  t.diagnostic(`${kills} kills`)
  assert.ok(kills > 0)

  const { code, stdout } = await sandbox.run(['adopt', 'files', '--json'])
  const verify = await sandbox.run(['verify'])

  assert.equal(code, 0)
  const adopted = JSON.parse(stdout) as { taken: { files: number }; alreadyHeld: { files: number }; sealed: unknown[] }
  assert.equal(adopted.taken.files + adopted.alreadyHeld.files, FILES)
  assert.equal(adopted.sealed.length, 1)
  assert.equal(verify.code, 0, verify.stdout)
  assert.equal(hub.requests.length, 0, 'the hub was never asked')
  assert.equal(readdirSync(join(sandbox.root, 'partial')).length, 0)
})
