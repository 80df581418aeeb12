import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { CliFolder } from './cli-harness.ts'

test('plan says when files that failed are tried again, and not "now"', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Gated-1B', { ...smallModel('g'), gated: 'manual' })
  await using folder = await CliFolder.watching(hub)
  const before = await folder.call(['plan'])
  await folder.call(['sync'])

  const after = await folder.call(['plan', '--offline'])
  const { take } = await folder.json<{ take: { nextTryAt: string | null }[] }>('plan', '--offline')

  assert.match(before.out, /Qwen\/Gated-1B .* now$/m)
  assert.match(after.out, /Qwen\/Gated-1B .* failed, again in \d+[sm]$/m)
  assert.doesNotMatch(after.out, / now$/m)
  assert.ok(take.length > 0 && take.every(({ nextTryAt }) => Date.parse(nextTryAt ?? '') > 0))
})
