import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playStorms } from '../../scripts/campaign/storms.ts'

/** `npm run campaign -- storms` plays 50. */
const STORMS = 2

test('many faults at once over TLS: the command fails cleanly or succeeds, and completes the archive afterwards', async (t) => {
  const { summary, failures } = await playStorms({
    seed: 1,
    count: STORMS,
    only: undefined,
    say: (line) => t.diagnostic(line),
  })

  t.diagnostic(summary)
  assert.deepEqual(failures, [])
})
