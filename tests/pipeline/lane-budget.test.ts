import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LaneBudget, type Lane } from '../../src/pipeline/lane-budget.ts'

/** A host and a file that uses every connection it can have, over a line that gives `total` bytes a second at most. */
class Line {
  nowMs = 1_000_000
  readonly lanes: Lane[] = []
  readonly budget = new LaneBudget({ now: () => this.nowMs, sleep: () => Promise.resolve() })
  readonly #perLane: number
  total: number
  /** The share of its time that each connection waits for memory. */
  heldShare = 0

  constructor(perLane: number, total: number) {
    this.#perLane = perLane
    this.total = total
    this.budget.onRoom(() => this.#widen())
    this.#widen()
  }

  /** Lets bytes come for so long, in steps of ten milliseconds. */
  run(seconds: number): void {
    for (let step = 0; step < seconds * 100; step += 1) {
      this.nowMs += 10
      const each = Math.min(this.#perLane, this.total / this.lanes.length) / 100
      // Connections come and go while bytes are counted.
      const now = this.lanes.slice()
      for (const lane of now) {
        lane.held(10 * this.heldShare)
        lane.moved(each)
      }
      for (const lane of now.filter((one) => !one.mayStay())) {
        if (lane.mayStay()) continue
        this.lanes.splice(this.lanes.indexOf(lane), 1)
        lane.leave()
      }
    }
  }

  #widen(): void {
    for (;;) {
      const lane = this.budget.enter('cdn', this.lanes.length === 0)
      if (lane === undefined) return
      this.lanes.push(lane)
    }
  }
}

test('connections grow from one to many while that brings more', () => {
  const line = new Line(25e6, 1e12)
  assert.equal(line.lanes.length, 1)

  line.run(1)

  assert.equal(line.lanes.length, 16)
})

test('connections that bring nothing are given up again, and tried again later only', () => {
  const line = new Line(25e6, 50e6)

  line.run(1)
  assert.equal(line.lanes.length, 2)
  line.run(8)
  assert.equal(line.lanes.length, 2)
  line.total = 1e12
  line.run(60)
  assert.equal(line.lanes.length, 16)

  const half = new Line(25e6, 110e6)
  half.run(2)
  assert.equal(half.lanes.length, 4)
})

test('connections that wait for memory of ours are not made more: not the line is slow', () => {
  const line = new Line(25e6, 1e12)
  line.heldShare = 0.3

  line.run(5)
  assert.equal(line.lanes.length, 2, 'one alone waits until its own bytes are safe')
  line.heldShare = 0.1
  line.run(60)

  assert.equal(line.lanes.length, 16)
})

test('a host that keeps us waiting is tried with many connections at once, and with fewer while these bring no less', () => {
  const line = new Line(25e6, 50e6)
  line.lanes[0]?.waits()
  assert.equal(line.lanes.length, 16)
  line.lanes[0]?.answered()

  line.run(9)
  assert.equal(line.lanes.length, 16, 'for a while they are kept: connections far away are slow to start')
  line.run(60)

  assert.equal(line.lanes.length, 2)
})

test('connections that begin at the same time say nothing about the distance of their host', () => {
  const budget = new LaneBudget({ now: () => 1_000_000, sleep: () => Promise.resolve() })
  const files = [budget.enter('cdn', true), budget.enter('cdn', true)]
  files[0]?.waits()
  assert.equal(budget.enter('cdn', false), undefined)

  files[1]?.leave()
  files[0]?.waits()
  assert.ok(budget.enter('cdn', false))
})

test('a host that answers at once is near, however long it takes later', () => {
  const line = new Line(25e6, 25e6)
  line.lanes[0]?.answered()
  line.lanes[0]?.waits()

  assert.equal(line.lanes.length, 1)
})

test('hosts have their own widths, and all together no more than there may be', () => {
  const budget = new LaneBudget({ now: () => 0, sleep: () => Promise.resolve() })

  const firsts = Array.from({ length: 40 }, (_, index) => budget.enter(`host-${index % 2}`, true))
  assert.equal(firsts.filter((lane) => lane !== undefined).length, 20)
  assert.equal(budget.enter('host-9', true), undefined)
  firsts[0]?.leave()
  firsts[0]?.leave()

  assert.notEqual(budget.enter('host-9', true), undefined)
  assert.equal(budget.enter('host-9', true), undefined, 'leaving twice makes room once')
})

test('a file has its first connection although the host is at its width', () => {
  const budget = new LaneBudget({ now: () => 0, sleep: () => Promise.resolve() })

  assert.equal([1, 2, 3].map(() => budget.enter('cdn', false)).filter((lane) => lane !== undefined).length, 1)
  assert.notEqual(budget.enter('cdn', true), undefined)
})

/** A host with so many connections, of as many files as there are first ones. */
function hostWith(firsts: number, others: number) {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs, sleep: () => Promise.resolve() }
  const budget = new LaneBudget(clock)
  const enter = (isFirst: boolean) => budget.enter('cdn', isFirst)
  const lanes = [enter(true)!]
  lanes[0]!.waits()
  for (let index = 1; index < firsts; index += 1) lanes.push(enter(true)!)
  for (let index = 0; index < others; index += 1) lanes.push(enter(false)!)
  return { clock, lanes, enter }
}

test('a host that refuses some of many connections is asked over as many as it took, and for more after a while', () => {
  const { clock, lanes, enter } = hostWith(1, 15)
  for (const lane of lanes.splice(5)) {
    lane.refused()
    lane.leave()
  }

  assert.equal(enter(false), undefined)
  lanes.pop()?.leave()
  assert.notEqual(enter(false), undefined)
  clock.nowMs += 60_000
  assert.notEqual(enter(true), undefined, 'what it takes may have changed')
})

test('a clock that is set back does not keep a host at few connections', () => {
  const { clock, lanes, enter } = hostWith(1, 15)
  lanes.at(-1)?.refused()
  assert.equal(enter(true), undefined)

  clock.nowMs -= 86_400_000

  lanes.pop()?.leave()
  assert.notEqual(enter(true), undefined)
  assert.equal(enter(true), undefined, 'as many as a host may have')
})

test('files wait for a connection to a host that refused one of others', () => {
  const { lanes, enter } = hostWith(8, 0)

  lanes.at(-1)?.refused()
  lanes.pop()?.leave()

  assert.equal(enter(true), undefined)
  lanes.pop()?.leave()
  assert.notEqual(enter(true), undefined)
})

test('the only connection to a host that refuses it may always be tried again', () => {
  const { lanes, enter } = hostWith(1, 0)

  lanes[0]?.refused()
  lanes[0]?.leave()

  assert.notEqual(enter(true), undefined)
})
