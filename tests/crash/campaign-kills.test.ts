import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playKills } from '../../scripts/campaign/kills.ts'

/** With the 20 of `kill-sync.test.ts` 200 of the real program; `npm run campaign -- kills` does 5,000 of these. */
const KILLS = 180

test(`the program killed ${KILLS} times at random moments loses nothing it acknowledged and publishes nothing wrong`, async (t) => {
  const { summary, failures } = await playKills({
    seed: 1,
    count: KILLS,
    only: undefined,
    say: (line) => t.diagnostic(line),
  })

  t.diagnostic(summary)
  assert.deepEqual(failures, [])
})
