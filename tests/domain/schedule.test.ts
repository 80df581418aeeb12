import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  generationOf,
  scheduleSnapshots,
  type Candidate,
  type MissingContent,
  type Room,
} from '../../src/domain/schedule.ts'
import { fixtureRows } from '../support/content/fixture-file.ts'
import { model } from './builders.ts'

const ROOM = { budgetBytes: 1000, diskBytes: 1000, smallBytes: 0 }

let nextId = 1
function candidate(name: string, changes: Partial<Candidate> & { bytes?: number } = {}): Candidate {
  const { bytes = 10, ...rest } = changes
  const snapshotId = nextId++
  const large = bytes === 0 ? [] : [content(1000 + snapshotId, bytes)]
  return {
    snapshotId,
    ref: model(`Qwen/${name}`),
    createdAt: '2026-01-01T00:00:00.000Z',
    isNewRelease: false,
    bumpedAs: 0,
    large,
    missingBytes: sizeOf(rest.large ?? large),
    refusedAs: undefined,
    isGone: false,
    ...rest,
  }
}

function content(id: number, size: number, startedBytes = 0): MissingContent {
  return { id, size, startedBytes }
}

function sizeOf(contents: readonly MissingContent[]): number {
  return contents.reduce((sum, { size }) => sum + size, 0)
}

/** Names in the order of their ranks, with the hold behind a colon where there is one. */
function order(candidates: readonly Candidate[], change: Partial<Room> = {}): string[] {
  const names = new Map(candidates.map((one) => [one.snapshotId, one.ref.name.slice('Qwen/'.length)]))
  return scheduleSnapshots(candidates, { ...ROOM, ...change })
    .sort((a, b) => a.rank - b.rank)
    .map((entry) => `${names.get(entry.snapshotId)}${entry.hold === 'none' ? '' : `: ${entry.hold}`}`)
}

test('scheduleSnapshots holds what does not fit, and lets smaller ones behind it pass', () => {
  const sizes = [candidate('A-1B', { bytes: 600 }), candidate('A-2B', { bytes: 700 })]

  assert.deepEqual(order(sizes), ['A-1B', 'A-2B: budget'])
  assert.deepEqual(order(sizes, { budgetBytes: 5000, diskBytes: 1000 }), ['A-1B', 'A-2B: reserve'])
  assert.deepEqual(order(sizes, { budgetBytes: 1300, diskBytes: 1300 }), ['A-1B', 'A-2B'])
  assert.deepEqual(order(sizes, { budgetBytes: -1, diskBytes: -1 }), ['A-1B: budget', 'A-2B: budget'])
  const bumped = candidate('B-9B', { bytes: 2000, bumpedAs: 1 })
  assert.deepEqual(order([bumped, ...sizes]), ['B-9B: budget', 'A-1B', 'A-2B: budget'])
})

test('scheduleSnapshots holds no snapshot that misses only small files', () => {
  const small = candidate('A-1B', { bytes: 0 })

  assert.deepEqual(order([small], { budgetBytes: -5, diskBytes: -5 }), ['A-1B'])
})

test('scheduleSnapshots puts bumped first, then new releases, then the newest generation, then the smallest', () => {
  const old = { createdAt: '2024-09-17T00:00:00.000Z' }
  const candidates = [
    candidate('Qwen2.5-0.5B', { ...old, bytes: 1 }),
    candidate('Qwen3.5-9B', { createdAt: '2026-02-27T00:00:00.000Z', bytes: 90 }),
    candidate('Qwen3.5-0.8B', { createdAt: '2026-02-28T00:00:00.000Z', bytes: 8 }),
    candidate('Qwen4-1B', { createdAt: '2026-09-01T00:00:00.000Z', bytes: 500, isNewRelease: true }),
    candidate('Qwen2.5-72B', { ...old, bytes: 300, bumpedAs: 1 }),
    candidate('Nameless', { createdAt: undefined, bytes: 0 }),
  ]

  assert.deepEqual(order(candidates), [
    'Qwen2.5-72B',
    'Qwen4-1B',
    'Qwen3.5-0.8B',
    'Qwen3.5-9B',
    'Qwen2.5-0.5B',
    'Nameless',
  ])
})

test('scheduleSnapshots puts what was bumped last in front of what was bumped before', () => {
  const first = candidate('Qwen3.5-9B', { bumpedAs: 1, createdAt: '2026-02-27T00:00:00.000Z' })
  const second = candidate('Qwen2.5-7B', { bumpedAs: 2, createdAt: '2024-09-17T00:00:00.000Z' })

  assert.deepEqual(order([first, second]), ['Qwen2.5-7B', 'Qwen3.5-9B'])
})

test('scheduleSnapshots counts bytes that several files or snapshots want once', () => {
  const weights = content(1, 600)
  const before = candidate('A-1B', { large: [weights] })
  const after = candidate('A-1B', { large: [weights, content(2, 300)] })

  assert.deepEqual(order([before, after]), ['A-1B', 'A-1B'])
  assert.deepEqual(order([before, after], { budgetBytes: 899 }), ['A-1B', 'A-1B: budget'])
})

test('scheduleSnapshots keeps room for small files before it admits a large one', () => {
  const one = candidate('A-1B', { bytes: 990, missingBytes: 1040 })
  const other = candidate('B-1B', { bytes: 700 })

  assert.deepEqual(order([one, other]), ['B-1B', 'A-1B: budget'], 'one whose small files do not fit is never whole')
  assert.deepEqual(order([other], { smallBytes: 301 }), ['B-1B: budget'])
  assert.deepEqual(order([other], { smallBytes: 301, budgetBytes: 5000 }), ['B-1B: reserve'])
})

test('scheduleSnapshots asks the disk only for what is not there yet, and the budget for all of it', () => {
  const started = candidate('A-1B', { large: [content(1, 900, 500)] })

  assert.deepEqual(order([started], { diskBytes: 400 }), ['A-1B'])
  assert.deepEqual(order([started], { diskBytes: 399 }), ['A-1B: reserve'])
  assert.deepEqual(order([started], { budgetBytes: 899 }), ['A-1B: budget'])
})

test('scheduleSnapshots reserves nothing for what is gone or was refused', () => {
  const gone = candidate('A-1B', { bytes: 600, isGone: true, bumpedAs: 1 })
  const gated = candidate('B-1B', { bytes: 300, refusedAs: 'gated', isNewRelease: true })
  const tooLarge = candidate('C-1B', { bytes: 500, refusedAs: 'unavailable' })
  const open = candidate('D-1B', { bytes: 600 })

  assert.deepEqual(order([gone, gated, tooLarge, open]), ['D-1B', 'A-1B: unavailable', 'B-1B', 'C-1B: unavailable'])
  assert.deepEqual(order([gated, open], { budgetBytes: 800 }), ['D-1B', 'B-1B: gated'])
})

test('scheduleSnapshots dates a generation by its first repository', () => {
  const candidates = [
    candidate('Qwen2.5-7B-late-variant', { createdAt: '2026-08-01T00:00:00.000Z' }),
    candidate('Qwen2.5-7B', { createdAt: '2024-09-16T00:00:00.000Z' }),
    candidate('Qwen3-8B', { createdAt: '2025-04-27T00:00:00.000Z' }),
  ]

  assert.deepEqual(order(candidates), ['Qwen3-8B', 'Qwen2.5-7B', 'Qwen2.5-7B-late-variant'])
})

test('scheduleSnapshots spends no more than the room, ranks each once, and does not depend on the input order', () => {
  const one = fc.record({
    name: fc.constantFrom('Qwen3-1B', 'Qwen3-4B', 'Qwen3.5-4B', 'QwQ-32B'),
    bytes: fc.nat(500),
    bumpedAs: fc.nat(2),
    isNewRelease: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 20 }), fc.integer({ min: -10, max: 2000 }), fc.nat(2000), (raw, a, b) => {
      const candidates = raw.map(({ name, ...rest }) => candidate(name, rest))
      const room = { budgetBytes: a, diskBytes: b, smallBytes: 0 }
      const scheduled = scheduleSnapshots(candidates, room)
      const bytesOf = new Map(candidates.map((entry) => [entry.snapshotId, sizeOf(entry.large)]))
      const spent = scheduled
        .filter((entry) => entry.hold === 'none')
        .reduce((sum, entry) => sum + (bytesOf.get(entry.snapshotId) ?? 0), 0)

      assert.ok(spent <= Math.max(0, Math.min(a, b)))
      assert.deepEqual(
        scheduled.map((entry) => entry.rank),
        candidates.map((_, at) => at),
      )
      assert.deepEqual(scheduleSnapshots(candidates.toReversed(), room), scheduled)
    }),
  )
})

test('scheduleSnapshots spends the budget of the backlog of one generation on the most repos', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 12 }), fc.nat(400), (sizes, budgetBytes) => {
      const candidates = sizes.map((bytes) => candidate('Qwen3-1B', { bytes }))
      const allowed = scheduleSnapshots(candidates, { budgetBytes, diskBytes: 1e9, smallBytes: 0 }).filter(
        (s) => s.hold === 'none',
      )
      let most = 0
      let left = budgetBytes
      for (const size of sizes.toSorted((x, y) => x - y)) {
        if (size > left) break
        left -= size
        most += 1
      }
      assert.equal(allowed.length, most)
    }),
  )
})

test('generationOf reads the generation of the real line-up', () => {
  for (const [name, generation] of [
    ['Qwen3.5-397B-A17B', 'qwen3.5'],
    ['Qwen3.5-9B-GGUF', 'qwen3.5'],
    ['Qwen3-Coder-Next', 'qwen3'],
    ['Qwen-Image-2.1', 'qwen-image'],
    ['Qwen-Image-2512', 'qwen-image'],
    ['Qwen-7B-Chat-Int4', 'qwen'],
    ['Qwen-1_8B', 'qwen'],
    ['QwQ-32B', 'qwq'],
    ['QVQ-72B-Preview', 'qvq'],
    ['CodeQwen1.5-7B', 'codeqwen1.5'],
    ['Qwen3Guard-Gen-0.6B', 'qwen3guard'],
    ['7B', '7b'],
    ['Qwen', 'qwen'],
  ] as const) {
    assert.equal(generationOf(model(`Qwen/${name}`)), generation, name)
  }
  const generations = new Set(
    fixtureRows('qwen/qwen-lineup.csv').map((row) => generationOf(model(row.get('repo_id') ?? ''))),
  )
  for (const known of ['qwen1.5', 'qwen2', 'qwen2.5', 'qwen3', 'qwen3.5', 'qwen3.6', 'qwen3.8']) {
    assert.ok(generations.has(known), known)
  }
  assert.ok(generations.size < 40, [...generations].join(' '))
})
