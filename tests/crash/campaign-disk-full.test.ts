import assert from 'node:assert/strict'
import { test } from 'node:test'
import { playDiskFull } from '../../scripts/campaign/disk-full.ts'

/** `npm run campaign -- disk-full` tries every page. */
const SIZES = 12

test('a disk that is full at any page is told, damages nothing, and is completed when there is room', async (t) => {
  const { summary, failures, notDone } = await playDiskFull({
    seed: 1,
    count: SIZES,
    only: undefined,
    say: (line) => t.diagnostic(line),
  })

  t.diagnostic(notDone === undefined ? summary : `NOT TESTED: ${notDone}`)
  assert.deepEqual(failures, [])
})
