import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { parseCommitId } from '../../src/domain/digest.ts'
import { parseRepoName } from '../../src/domain/repo.ts'
import type { HubFile, HubSource, RangeBody } from '../../src/hub-port.ts'
import type { PartialFile, PartialRange } from '../../src/intake-port.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { TokenBucket } from '../../src/lib/token-bucket.ts'
import { fillRanges } from '../../src/pipeline/fill-ranges.ts'
import { FAR_MS, LaneBudget } from '../../src/pipeline/lane-budget.ts'

const MIB = 1024 * 1024
const SIZE = 64 * MIB
/** When a host answers whoever did not ask more. */
const GIVES_UP_MS = 10_000

/** A server that answers a request when the test lets it. */
class SilentHost {
  /** Answers that are not given yet. */
  readonly waiting: (() => void)[] = []
  asked = 0
  /** Whether requests may be sent ahead. */
  takesMore = false
  /** Most requests at the same time. */
  mostAtOnce = 0
  readonly #onRequest: (host: SilentHost) => void

  constructor(onRequest: (host: SilentHost) => void) {
    this.#onRequest = onRequest
  }

  answerAll(): void {
    for (const answer of this.waiting.splice(0)) answer()
  }

  openRange: HubSource['openRange'] = async (_file, start, end) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.waiting.push(resolve)
    this.asked += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.waiting.length)
    this.#onRequest(this)
    await promise
    return bodyOf(start, end, this.takesMore)
  }
}

function bodyOf(start: number, end: number, takesMore: boolean): RangeBody {
  return {
    start,
    end,
    totalSize: SIZE,
    into: async (sink, signal) => {
      await sink.room(signal)
      for (let left = end - start; left > 0; left -= MIB) sink.filled(Math.min(left, sink.view()!.length))
    },
    ahead: takesMore ? (nextStart, nextEnd) => Promise.resolve(bodyOf(nextStart, nextEnd, true)) : () => undefined,
    chunks: () => assert.fail('bytes go into the sink'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** A file that only counts what came. */
function countingFile(asked: number[] = []): PartialFile {
  const bytes = new Uint8Array(MIB)
  let claimed = 0
  const file = { heldBytes: 0, maxRanges: 16, claim: (most: number) => Promise.resolve(claim(most)) }
  const claim = (most: number): PartialRange | undefined => {
    if (claimed === SIZE) return undefined
    asked.push(most)
    let position = claimed
    claimed += MIB
    const filled = (count: number): void => {
      position += count
      file.heldBytes += count
    }
    const [start, end] = [position, claimed]
    const [room, nothing] = [() => Promise.resolve(), () => undefined]
    return { start, end, position, follows: nothing, view: () => bytes, filled, room, release: nothing }
  }
  return file as unknown as PartialFile
}

async function fill(
  host: SilentHost,
  t: Pick<TestContext, 'signal'>,
  budget = new LaneBudget(systemClock),
  partial = countingFile(),
): Promise<void> {
  const [name, commit] = [parseRepoName('Qwen/Far'), parseCommitId('a'.repeat(40))]
  assert.ok(name !== undefined && commit !== undefined)
  const source: HubFile = { ref: { type: 'model', name }, commit, path: 'model.bin' }
  const options = {
    hub: { openRange: host.openRange } as HubSource,
    source,
    resolved: { file: source, url: 'https://cdn.example/model.bin', etag: undefined, size: SIZE },
    size: SIZE,
    partial,
    bucket: new TokenBucket(systemClock, () => undefined),
    budget,
    whole: false,
    onBytes: () => undefined,
    mayContinue: () => Promise.resolve(),
  }
  await fillRanges(options, t.signal)
  assert.equal(options.partial.heldBytes, SIZE)
}

test('a host that is silent is asked over sixteen connections before it has answered once', async (t) => {
  const gaveUp = Promise.withResolvers<void>()
  const timer = setTimeout(gaveUp.resolve, GIVES_UP_MS)
  t.after(() => clearTimeout(timer))
  const host = new SilentHost((asked) => {
    if (asked.asked >= 16) asked.answerAll()
    void gaveUp.promise.then(() => asked.answerAll())
  })

  await fill(host, t)

  assert.equal(host.mostAtOnce, 16)
})

test('a host that answered at once is near, however long it takes for a later answer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const host = new SilentHost((asked) => {
    if (asked.asked !== 2) return asked.answerAll()
    t.mock.timers.tick(2 * FAR_MS)
    // Whoever was let in by the silence would ask before this.
    setImmediate(() => setImmediate(() => asked.answerAll()))
  })

  await fill(host, t)

  assert.equal(host.mostAtOnce, 1)
})

test('what takes long because this process is busy does not make a host far', async (t) => {
  const host = new SilentHost((asked) => {
    if (asked.asked > 1) return asked.answerAll()
    const untilMs = performance.now() + 3 * FAR_MS
    // The answer is there when the timers have been looked at, which could not be before.
    setImmediate(() => {
      while (performance.now() < untilMs);
      setImmediate(() => setImmediate(() => asked.answerAll()))
    })
  })

  await fill(host, t)

  assert.equal(host.mostAtOnce, 1)
})

test('a download that was stopped does not wait for the connections of others', async (t) => {
  const budget = new LaneBudget(systemClock)
  while (budget.enter('cdn.example', true) !== undefined);
  const host = new SilentHost(() => assert.fail('nothing is asked'))
  const [before, during] = [AbortSignal.abort(new Error('stopped before')), new AbortController()]

  await assert.rejects(fill(host, { signal: before }, budget), /stopped before/)
  const waiting = fill(host, { signal: AbortSignal.any([t.signal, during.signal]) }, budget)
  during.abort(new Error('stopped'))

  await assert.rejects(waiting, /stopped/)
})

test('a connection asks ahead to the end of the file: it never waits for a round trip', async (t) => {
  const host = new SilentHost((asked) => asked.answerAll())
  host.takesMore = true

  await fill(host, t)

  assert.equal(host.asked, 1)
})

test('a range is the share of what is left that one connection has, and no more than 4 MiB', async (t) => {
  const asked: number[] = []

  await fill(new SilentHost((host) => host.answerAll()), t, undefined, countingFile(asked))

  assert.deepEqual(
    asked,
    Array.from({ length: SIZE / MIB }, (_, index) => Math.min(4 * MIB, SIZE - index * MIB)),
  )
})

test('how long a connection waits for room is told to the budget', async (t) => {
  const budget = new LaneBudget(systemClock)
  let told = 0
  const enter = budget.enter.bind(budget)
  t.mock.method(budget, 'enter', (...args: Parameters<LaneBudget['enter']>) => {
    const lane = enter(...args)
    if (lane !== undefined) t.mock.method(lane, 'held', () => void (told += 1))
    return lane
  })

  await fill(new SilentHost((host) => host.answerAll()), t, budget)

  assert.equal(told, SIZE / MIB)
})

for (const [what, lie, refused] of [
  ['the whole file', { start: 0, end: SIZE, totalSize: SIZE }, { name: 'RangeIgnored' }],
  ['a later range', { start: MIB, end: 2 * MIB, totalSize: SIZE }, { name: 'RangeIgnored' }],
  ['a range of a longer file', { totalSize: SIZE + 1 }, { code: 'TRANSFER_INVALID' }],
] as const) {
  test(`${what} in answer to a range is not taken for it`, async (t) => {
    const host = new SilentHost((asked) => asked.answerAll())
    const honest = host.openRange
    host.openRange = async (...asked) => ({
      ...(await honest(...asked)),
      into: () => assert.fail('no byte is taken'),
      ...lie,
    })

    await assert.rejects(fill(host, t), refused)
  })
}
