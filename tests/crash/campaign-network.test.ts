import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playNetwork } from '../../scripts/campaign/network.ts'

/** Of the fast scenarios; `npm run campaign -- network` plays them all. */
const SCENARIOS = 30

test('whatever the network does, nothing wrong is published, and everything is archived once it stops', async (t) => {
  const { summary, failures } = await playNetwork({
    seed: 1,
    count: SCENARIOS,
    only: undefined,
    say: (line) => t.diagnostic(line),
  })

  t.diagnostic(summary)
  assert.deepEqual(failures, [])
})
