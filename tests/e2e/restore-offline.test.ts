import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))

test('restore opens no socket of any kind: the kernel was asked', async (t) => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3-0.6B', {
    files: [
      { path: 'config.json', content: '{}' },
      { path: 'model.safetensors', content: generated('a', 100_000), lfs: true },
    ],
  })
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
  // A service runs beside it: even that one is not asked.
  const service = sandbox.start(['run'])
  await service.whenPrinted(/service started|polled/)
  hub.clearRequests()
  const trace = join(sandbox.folder, 'trace')
  const words = ['-f', '-qq', '-e', 'trace=%network', '-o', trace, process.execPath, PROGRAM]
  const options = {
    cwd: sandbox.folder,
    encoding: 'utf8' as const,
    env: { PATH: process.env['PATH'], HOME: sandbox.folder, HF_TOKEN: 'hf_secret' },
  }
  for (const layout of ['folder', 'hf-cache']) {
    const args = ['restore', 'Qwen/Qwen3-0.6B', '--to', `out-${layout}`, '--as', layout, '--verify']
    const traced = spawnSync('strace', [...words, ...args], options)
    if (traced.error !== undefined) return t.diagnostic(`NOT TESTED: no strace here (${traced.error.message})`)

    assert.equal(traced.status, 0, traced.stderr)
    // Pairs of connected sockets within a process are how Node talks to itself.
    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => /\b(socket|connect|bind|sendto|sendmsg|accept4?)\(/.test(line))
    assert.deepEqual(calls, [])
  }
  // The control: a command that may ask the service is seen to open its socket.
  spawnSync('strace', [...words, 'status'], options)
  assert.match(readFileSync(trace, 'utf8'), /\bconnect\(/)
})
