import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRepoArgument, type RepoRef } from '../../src/domain/repo.ts'
import { WatchLoop } from '../../src/pipeline/watch-loop.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { RecordedProgress, TestVault } from '../support/test-vault.ts'
import { until } from '../support/until.ts'

/** Notes when each poll was over. */
class PollTimes extends RecordedProgress {
  readonly times: number[] = []
  readonly #now: () => number

  constructor(now: () => number) {
    super()
    this.#now = now
  }

  override polled(): void {
    this.times.push(this.#now())
  }
}

function refOf(name: string): RepoRef {
  return parseRepoArgument(name)!.ref
}

const WEEKLY = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 7d }
`

/** The loop against a Hub of its own, with a clock for which hours pass in no time. */
async function running(use: (loop: WatchLoop, polls: PollTimes) => Promise<void>): Promise<void> {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub, WEEKLY, clock)
  const polls = new PollTimes(clock.now)
  const loop = new WatchLoop(bindProgress(vault.archive, polls), () => Promise.resolve())
  const stop = new AbortController()
  const ended = loop.run(stop.signal).catch((error: unknown) => error)
  try {
    await until('the first poll', () => polls.times.length > 0)
    await use(loop, polls)
  } finally {
    stop.abort(new Error('stopped'))
    assert.match(String(await ended), /stopped/)
  }
}

test('a hint makes the watch that covers the repository be polled soon, and a flood of them every ten seconds at most', async () => {
  await running(async (loop, polls) => {
    const before = polls.times.length

    await until('four more polls', () => {
      for (let at = 0; at < 100; at += 1) assert.equal(loop.hint(refOf('Qwen/A-1B')), true)
      return polls.times.length >= before + 4
    })

    const pauses = polls.times.slice(1).map((time, at) => time - polls.times[at]!)
    assert.ok(
      pauses.every((pause) => pause >= 10_000),
      pauses.join(' '),
    )
  })
})

test('a hint about a repository that nobody watches does nothing', async () => {
  await running(async (loop, polls) => {
    const before = polls.times.length

    for (const name of ['other/A', 'datasets/Qwen/A', 'spaces/Qwen/A']) assert.equal(loop.hint(refOf(name)), false)

    assert.equal(polls.times.length, before)
  })
})
