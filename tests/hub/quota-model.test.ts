import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { QuotaGate } from '../../src/hub/quota.ts'
import { EventClock } from './support/event-clock.ts'

/** A Hub with a fixed window, what each way to and from it takes, and who else uses the same quota. */
interface Given {
  readonly quota: number
  readonly windowMs: number
  readonly files: number
  readonly workers: number
  /** The second request of a file is charged as the first is. */
  readonly isCacheCharged: boolean
  /** Requests of others in each window: the part of it that has passed. */
  readonly others: readonly number[]
  /** Ways take up to so many milliseconds. */
  readonly slowestMs: number
  /** The clock is set by so many milliseconds when that many requests have come. */
  readonly clockSet: { readonly atRequest: number; readonly byMs: number } | undefined
  readonly seed: number
}

const RESERVED = 0.02

function createHub(given: Given, clock: EventClock) {
  const counts = new Map<number, number>()
  let [requests, refused] = [0, 0]
  const windowOf = (ms: number): number => Math.floor(ms / given.windowMs)
  const charge = (): number => {
    const window = windowOf(clock.now())
    const count = (counts.get(window) ?? 0) + 1
    counts.set(window, count)
    return count
  }
  return {
    counts,
    get requests() {
      return requests
    },
    get refused() {
      return refused
    },
    charge,
    answer(isCharged: boolean) {
      requests += 1
      if (isCharged && charge() > given.quota) refused += 1
      const window = windowOf(clock.now())
      const resetSeconds = Math.ceil(((window + 1) * given.windowMs - clock.now()) / 1000)
      const remaining = Math.max(0, given.quota - (counts.get(window) ?? 0))
      return { bucket: 'resolvers', remaining, resetSeconds, quota: given.quota }
    },
  }
}

/** Numbers from 0 to below 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Fetches files of two requests each, and counts what each window was charged with. */
async function fetchAll(given: Given) {
  const clock = new EventClock(1_700_000_000_000)
  const hub = createHub(given, clock)
  const random = randomFrom(given.seed)
  const stop = new AbortController()
  const { signal } = stop
  const { clockSet } = given
  const now = () => clock.now() + (clockSet !== undefined && hub.requests >= clockSet.atRequest ? clockSet.byMs : 0)
  const gate = new QuotaGate({ now, sleep: clock.sleep }, () => undefined)
  const way = () => clock.sleep(Math.ceil(random() ** 3 * given.slowestMs), signal)
  const ask = async (route: string, isCharged: boolean): Promise<void> => {
    const permit = await gate.enter(route, signal)
    await way()
    const reading = hub.answer(isCharged)
    await way()
    permit.leave(reading)
  }
  let left = given.files
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await ask('resolve', true)
      await ask('resolve-cache', given.isCacheCharged)
    }
  }
  const other = async (at: number): Promise<void> => {
    for (;;) {
      const intoMs = clock.now() % given.windowMs
      const atMs = Math.floor(at * given.windowMs)
      await clock.sleep(intoMs < atMs ? atMs - intoMs : given.windowMs - intoMs + atMs, signal)
      hub.charge()
    }
  }
  for (const at of given.others) other(at).catch(() => undefined)
  await clock.run(Promise.all(Array.from({ length: given.workers }, worker)))
  stop.abort()
  // The first began in the middle, the last ended there.
  const whole = [...hub.counts].toSorted(([a], [b]) => a - b).slice(1, -1)
  return { refused: hub.refused, whole: whole.map(([, count]) => count) }
}

function anyHub(how: { readonly quota: fc.Arbitrary<number>; readonly mayBeSet: boolean }): fc.Arbitrary<Given> {
  return how.quota.chain((quota) => {
    const reserve = Math.max(1, Math.floor(quota * RESERVED))
    return fc.record({
      quota: fc.constant(quota),
      windowMs: fc.integer({ min: 20, max: 300 }).map((seconds) => seconds * 1000),
      files: fc.constant(quota * 2),
      workers: fc.integer({ min: 1, max: 12 }),
      isCacheCharged: fc.boolean(),
      others: fc.array(fc.double({ min: 0, max: 0.99, noNaN: true }), { maxLength: reserve }),
      slowestMs: fc.constantFrom(1, 50, 400),
      clockSet: how.mayBeSet
        ? fc.option(
            fc.record({
              atRequest: fc.nat({ max: quota * 4 }),
              byMs: fc.integer({ min: -400_000, max: 400_000 }),
            }),
            { nil: undefined },
          )
        : fc.constant(undefined),
      seed: fc.nat(),
    })
  })
}

test('no request is refused that the reserve allows, whatever answers take, others use, and the clock is set to', async () => {
  await fc.assert(
    fc.asyncProperty(anyHub({ quota: fc.integer({ min: 10, max: 120 }), mayBeSet: true }), async (given) => {
      assert.equal((await fetchAll(given)).refused, 0)
    }),
  )
})

test('files of two requests use nearly the whole of each quota, whether the second is charged or not', async () => {
  await fc.assert(
    fc.asyncProperty(anyHub({ quota: fc.integer({ min: 300, max: 500 }), mayBeSet: false }), async (given) => {
      const { whole } = await fetchAll({ ...given, windowMs: 300_000 })
      for (const count of whole) assert.ok(count >= given.quota * 0.9, `${count} of ${given.quota}`)
      assert.notDeepEqual(whole, [])
    }),
    { numRuns: 20 },
  )
})
