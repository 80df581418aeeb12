import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { acquireArchiveLock } from '../../src/db/archive-lock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { CliFolder } from './cli-harness.ts'

test('status and plan tell another command that works in the archive from a running service', async () => {
  await using hub = await startSimHub()
  await using folder = await CliFolder.watching(hub)
  await folder.call(['init'])
  const idle = await folder.call(['status'])
  await using _lock = await acquireArchiveLock(join(folder.path, 'archive'))

  const busy = await folder.call(['status'])
  const plan = await folder.call(['plan'])

  assert.match(idle.out, /^service +not running \("weightvault run" starts it\)$/m)
  const here = new RegExp(
    `^service +not running, but another command works in the archive \\(process ${process.pid} on `,
    'm',
  )
  assert.match(busy.out, here)
  const { writer } = await folder.json<{ writer: { pid: number } }>('status')
  assert.equal(writer.pid, process.pid)
  assert.match(plan.err, /not polled: another command works in the archive/)
})
