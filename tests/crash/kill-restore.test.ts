import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { blobPath } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { until } from '../support/until.ts'

const FILES = 60

test('a restore that is killed shows nothing, and the next one goes on with what was built', async (t) => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Big-8B', {
    files: Array.from({ length: FILES }, (_, at) => ({
      path: `part-${at % 3}/model-${at}.safetensors`,
      content: generated(`part ${at}`, 1_000_000),
      lfs: true,
    })),
  })
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  const out = join(sandbox.folder, 'out')
  const site = join(
    sandbox.folder,
    `.weightvault-${createHash('sha256').update(out).digest('hex').slice(0, 16)}`,
    'tree',
  )
  const built = (): number =>
    existsSync(site)
      ? readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.safetensors')).length
      : 0
  const args = ['restore', 'Qwen/Big-8B', '--to', 'out', '--link', 'never']
  let kills = 0
  for (const target of [1, 12, 25, 40]) {
    const program = sandbox.start(args)
    let isOver = false
    void program.ended.finally(() => (isOver = true))
    await until(`${target} files built`, () => isOver || built() >= target)
    program.kill('SIGKILL')
    if ((await program.ended).signal !== 'SIGKILL') break
    kills += 1
    if (existsSync(out)) break
    assert.ok(built() >= Math.min(target, FILES), 'what was built stays')
  }
  t.diagnostic(`${kills} kills`)
  assert.ok(kills > 0)

  const { code, stdout, stderr } = await sandbox.run([...args, '--json', '--verify'])

  assert.equal(code, 0, stderr)
  const { made, same, verified } = JSON.parse(stdout) as { made: number; same: number; verified: number }
  assert.deepEqual([made + same, verified], [FILES, FILES])
  for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.safetensors')) continue
    const sha256 = createHash('sha256')
      .update(readFileSync(join(out, name)))
      .digest('hex')
    assert.ok(existsSync(blobPath(sandbox.root, sha256)), name)
  }
  assert.ok(!existsSync(join(site, '..')), 'the building site is gone')
})
