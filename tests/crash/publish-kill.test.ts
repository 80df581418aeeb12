import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { digestsOf } from '../contracts/blob-digests.ts'
import { seededRandom } from '../support/sim-hub/random.ts'
import { assertNoWrongBlob } from './archive-check.ts'
import { contentOf } from './contents.ts'

const CHILD = new URL('./ingest-loop.ts', import.meta.url).pathname
/** Same seed, same steps to be killed at. */
const SEED = 1
const KILLS = 164
/** Steps between two kills; a content takes three. */
const MOST_STEPS = 8
const random = seededRandom(SEED)

/**
 * Runs the child from a content on, up to another one or without end, and kills it up to 4 ms after its `killAt`-th step.
 * Returns what it acknowledged: contents in their order.
 */
async function ingest(
  root: string,
  contents: { readonly first: number; readonly end?: number },
  killAt = Number.POSITIVE_INFINITY,
): Promise<{ acked: string[]; isDone: boolean }> {
  const { first, end = Number.POSITIVE_INFINITY } = contents
  const child = spawn(process.execPath, [CHILD, root, String(first), String(end)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { NODE_COMPILE_CACHE: join(dirname(root), 'compiled') },
  })
  const exited = once(child, 'exit')
  const acked: string[] = []
  let steps = 0
  let isDone = false
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ack ')) acked.push(line.slice('ack '.length))
    assert.ok(!line.startsWith('failed'), line)
    if (line === 'done') isDone = true
    if (line.startsWith('at ')) steps += 1
    if (steps === killAt && child.exitCode === null && !child.killed) {
      // Not a wait for anything: it spreads the kills over the instructions after the step.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, random() * 4)
      child.kill('SIGKILL')
    }
  }
  await exited
  return { acked, isDone }
}

test(`nothing acknowledged is lost and no name has wrong bytes over ${KILLS} kills at random moments`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wv-kill-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'archive')
  // Killed processes leave no compile cache, and most of the time would go into compiling.
  await ingest(join(folder, 'warm-up'), { first: 0, end: 8 })
  const acked = new Set<string>()
  const seen = new Set<string>()

  // On a busy machine a kill comes late, and the child is further then.
  let next = 0
  for (let round = 0; round < KILLS; round += 1) {
    const run = await ingest(root, { first: next }, round < 4 ? 1 : 2 + Math.floor(random() * (MOST_STEPS - 1)))
    next += run.acked.length
    for (const sha256 of run.acked) acked.add(sha256)
    assertNoWrongBlob(root, seen)
    for (const sha256 of acked) assert.ok(seen.has(sha256), `acknowledged ${sha256} is there after kill ${round + 1}`)
  }
  // The one that the last kill met may be there, too.
  const contents = next + 1
  const last = await ingest(root, { first: 0, end: contents })

  assert.ok(last.isDone)
  const wanted = Array.from({ length: contents }, (_, index) => digestsOf(contentOf(index)).sha256)
  assert.deepEqual(new Set(last.acked), new Set(wanted), 'every content is published')
  const all = new Set<string>()
  assertNoWrongBlob(root, all)
  assert.deepEqual(all, new Set<string>(wanted))
  assert.deepEqual(readdirSync(join(root, 'partial')), [], 'no partial is left over')
  assert.deepEqual(readdirSync(folder).sort(), ['archive', 'compiled', 'warm-up'], 'no half-made archive is left over')
  t.diagnostic(`${acked.size} of ${all.size} blobs were acknowledged before the last run, over ${KILLS} kills`)
})
