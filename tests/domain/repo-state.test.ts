import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  nextStep,
  UPSTREAM_STATES,
  upstreamOf,
  type Evidence,
  type PresentFacts,
  type Standing,
  type StateEvent,
  type Told,
} from '../../src/domain/repo-state.ts'

const CONFIRM = { misses: 3, overMs: 30 * 60_000 }
const START = Date.parse('2026-09-01T10:00:00.000Z')
const iso = (ms: number): string => new Date(ms).toISOString()

function standing(changes: Partial<Standing> = {}): Standing {
  return { ...facts(), upstream: 'ok', movedTo: undefined, misses: 0, firstMissAt: undefined, ...changes }
}

function facts(changes: Partial<PresentFacts> = {}): PresentFacts {
  return { name: 'Qwen/A', gated: false, private: false, disabled: false, ...changes }
}

/** Applies evidence ten minutes apart, from a standing on. */
function run(
  evidence: readonly Evidence[],
  from = standing(),
): { after: Standing; events: StateEvent[]; due: boolean[] } {
  const events: StateEvent[] = []
  const due: boolean[] = []
  let after = from
  evidence.forEach((one, at) => {
    const step = nextStep(after, one, iso(START + at * 600_000), CONFIRM)
    after = step.standing
    events.push(...step.events)
    due.push(step.isDue)
  })
  return { after, events, due }
}

const ABSENT: Evidence = { kind: 'absent' }
const asked = (told: Told[], oldFile: 'served' | 'refused' | 'unclear' | 'not-asked' = 'refused'): Evidence => ({
  kind: 'asked',
  told,
  oldFile,
})
const MISSING: Told = { kind: 'missing' }

test('absence is counted, and is due after both the misses and the time', () => {
  assert.deepEqual(run([ABSENT, ABSENT, ABSENT, ABSENT]).due, [false, false, false, true])
  const soon = { misses: 3, overMs: 0 }
  let after = standing()
  for (const isDue of [false, false, true]) {
    const step = nextStep(after, ABSENT, iso(START), soon)
    assert.equal(step.isDue, isDue)
    after = step.standing
  }
})

test('a clock that jumps concludes nothing by itself, and a loss is not put off for the length of the jump', () => {
  const tenYears = 10 * 365 * 86_400_000
  const ahead = nextStep(standing(), ABSENT, iso(START + tenYears), CONFIRM)
  const back = nextStep(ahead.standing, ABSENT, iso(START), CONFIRM)
  assert.deepEqual([back.isDue, back.standing.firstMissAt], [false, iso(START)])
  const later = nextStep(back.standing, ABSENT, iso(START + CONFIRM.overMs), CONFIRM)
  assert.equal(later.isDue, true)
})

test('a loss needs the word of every caller and of an old file', () => {
  const outcomes: [Evidence, string, number][] = [
    [asked([MISSING]), 'unavailable', 1],
    [asked([MISSING, MISSING]), 'unavailable', 1],
    [asked([MISSING], 'not-asked'), 'unavailable', 1],
    // The page is gone and the files are there: the Hub contradicts itself.
    [asked([MISSING], 'served'), 'unknown', 0],
    [asked([MISSING], 'unclear'), 'ok', 0],
    [asked([MISSING, { kind: 'unclear' }]), 'ok', 0],
    [asked([]), 'ok', 0],
    // Only our token is shown nothing: it is there for everybody else.
    [asked([MISSING, { kind: 'present', facts: facts() }]), 'ok', 0],
    // Only we are shown it: it is private, and still ours to fetch.
    [asked([{ kind: 'present', facts: facts({ private: true }) }, MISSING]), 'gated', 1],
    [asked([{ kind: 'disabled' }]), 'disabled', 1],
    [asked([{ kind: 'moved', to: 'New/A' }]), 'renamed', 1],
    [asked([{ kind: 'name-taken' }]), 'recreated', 0],
    [{ kind: 'nothing' }, 'ok', 0],
    [ABSENT, 'ok', 0],
  ]
  for (const [evidence, upstream, events] of outcomes) {
    const { after, events: raised } = run([evidence])
    assert.deepEqual([after.upstream, raised.length], [upstream, events], JSON.stringify(evidence))
  }
})

test('a return is told, whatever it comes back from, and a rename that was told is not told again', () => {
  for (const upstream of ['unavailable', 'recreated', 'renamed'] as const) {
    const { events, after } = run([{ kind: 'present', facts: facts() }], standing({ upstream, movedTo: 'New/A' }))
    assert.deepEqual(
      events.map((event) => event.type),
      ['repo-restored'],
      upstream,
    )
    assert.equal(after.upstream, 'ok')
  }
  const moved = run([asked([{ kind: 'moved', to: 'New/A' }]), { kind: 'present', facts: facts({ name: 'New/A' }) }])
  assert.deepEqual(
    moved.events.map((event) => event.type),
    ['repo-renamed'],
  )
  assert.equal(moved.after.name, 'New/A')
})

test('a gate, a private flag and a lock are told as what they are, in both directions', () => {
  const change = (from: Partial<Standing>, to: Partial<PresentFacts>): unknown =>
    run([{ kind: 'present', facts: facts(to) }], standing(from)).events.map(
      ({ type, severity, before, after }) => `${type} ${severity} ${String(before)} ${String(after)}`,
    )

  assert.deepEqual(change({}, { gated: 'auto' }), ['gate-changed warning false auto'])
  assert.deepEqual(change({ gated: 'auto', upstream: 'gated' }, { gated: 'manual' }), [
    'gate-changed warning auto manual',
  ])
  assert.deepEqual(change({ gated: 'manual', upstream: 'gated' }, {}), ['gate-changed notice manual false'])
  assert.deepEqual(change({}, { private: true }), ['gate-changed critical false private'])
  assert.deepEqual(change({ private: true, upstream: 'gated' }, {}), ['gate-changed notice private false'])
  assert.deepEqual(change({}, { disabled: true }), ['repo-disabled critical false true'])
  assert.deepEqual(change({ upstream: 'disabled' }, {}), ['repo-disabled notice true false'])
})

test('upstreamOf lets disabled speak before gated, and calls private gated', () => {
  assert.equal(upstreamOf({ disabled: true, gated: 'auto', private: true }), 'disabled')
  assert.equal(upstreamOf({ disabled: false, gated: 'auto', private: false }), 'gated')
  assert.equal(upstreamOf({ disabled: false, gated: false, private: true }), 'gated')
  assert.equal(upstreamOf({ disabled: false, gated: false, private: false }), 'ok')
})

// ---------------------------------------------------------------- properties

const anyFacts: fc.Arbitrary<PresentFacts> = fc.record({
  name: fc.constantFrom('Qwen/A', 'Qwen/B', 'New/A'),
  gated: fc.constantFrom<PresentFacts['gated']>(false, 'auto', 'manual'),
  private: fc.boolean(),
  disabled: fc.boolean(),
})
const anyTold: fc.Arbitrary<Told> = fc.oneof(
  anyFacts.map((found) => ({ kind: 'present', facts: found }) as const),
  fc.constantFrom<Told>({ kind: 'name-taken' }, { kind: 'disabled' }, MISSING, { kind: 'unclear' }),
  fc.constantFrom('Qwen/B', 'New/A').map((to) => ({ kind: 'moved', to }) as const),
)
const anyEvidence: fc.Arbitrary<Evidence> = fc.oneof(
  anyFacts.map((found) => ({ kind: 'present', facts: found }) as const),
  fc.constant(ABSENT),
  fc.constantFrom<Evidence>({ kind: 'name-taken' }, { kind: 'nothing' }),
  fc
    .tuple(fc.array(anyTold, { maxLength: 2 }), fc.constantFrom('served', 'refused', 'unclear', 'not-asked'))
    .map(([told, oldFile]) => asked(told, oldFile)),
)
const anyHistory = fc.array(anyEvidence, { maxLength: 30 })

test('whatever is seen in whatever order, the state is one of the seven and losses and returns alternate', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const { after, events } = run(history)
      assert.ok(UPSTREAM_STATES.includes(after.upstream))
      const turns = events.filter(({ type }) => type === 'repo-unavailable' || type === 'repo-restored')
      turns.forEach((event, at) => {
        if (event.type === 'repo-unavailable') assert.notEqual(turns[at - 1]?.type, 'repo-unavailable')
      })
      assert.equal(after.movedTo !== undefined, after.upstream === 'renamed')
    }),
  )
})

test('the same evidence twice is no news, and changes nothing but a count of misses', () => {
  fc.assert(
    fc.property(anyHistory, anyEvidence, (history, evidence) => {
      const once = run([...history, evidence]).after
      const again = nextStep(once, evidence, iso(START + 1e8), CONFIRM)
      assert.deepEqual(again.events, [])
      const { misses: _, firstMissAt: __, ...rest } = again.standing
      const { misses: ___, firstMissAt: ____, ...before } = once
      assert.deepEqual(rest, before)
    }),
  )
})

test('outages and absences alone never change a state or raise an event', () => {
  const silence = fc.array(fc.constantFrom<Evidence>(ABSENT, { kind: 'nothing' }), { maxLength: 50 })
  fc.assert(
    fc.property(anyHistory, silence, (history, quiet) => {
      const before = run(history).after
      const { after, events } = run(quiet, before)
      assert.deepEqual([after.upstream, after.name, events], [before.upstream, before.name, []])
    }),
  )
})

test('what is seen decides the state alone, whatever was believed before', () => {
  fc.assert(
    fc.property(anyHistory, anyFacts, (history, seen) => {
      const { after } = run([...history, { kind: 'present', facts: seen }])
      assert.deepEqual(after, {
        ...seen,
        upstream: upstreamOf(seen),
        movedTo: undefined,
        misses: 0,
        firstMissAt: undefined,
      })
    }),
  )
})

test('every loss event follows an answer that nobody contradicted', () => {
  fc.assert(
    fc.property(anyHistory, anyEvidence, (history, evidence) => {
      const before = run(history).after
      const { events } = nextStep(before, evidence, iso(START + 1e8), CONFIRM)
      if (!events.some(({ type }) => type === 'repo-unavailable')) return
      assert.ok(evidence.kind === 'asked')
      assert.ok(evidence.told.length > 0 && evidence.told.every(({ kind }) => kind === 'missing'))
      assert.ok(evidence.oldFile === 'refused' || evidence.oldFile === 'not-asked')
    }),
  )
})
