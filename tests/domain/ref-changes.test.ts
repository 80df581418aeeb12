import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { historyEvents, refEvents, type HubRef } from '../../src/domain/ref-changes.ts'
import { commit, model } from './builders.ts'

const AT = '2026-09-01T10:00:00.000Z'
const REPO = model('Qwen/A')
const ref = (kind: HubRef['kind'], name: string, digit: string): HubRef => ({ kind, name, commit: commit(digit) })
const words = (before: HubRef[], after: HubRef[]): string[] =>
  refEvents(REPO, before, after, AT).map(({ type, severity, detail }) => `${type} ${severity} ${String(detail['ref'])}`)

test('refEvents tells moved and deleted tags and branches, and nothing of new ones or of the default branch moving', () => {
  const before = [ref('branch', 'main', '1'), ref('branch', 'dev', '1'), ref('tag', 'v1', '1'), ref('tag', 'v2', '1')]
  const after = [ref('branch', 'main', '2'), ref('branch', 'dev', '2'), ref('tag', 'v1', '2'), ref('tag', 'v3', '2')]

  assert.deepEqual(words(before, after), ['ref-moved info dev', 'ref-moved warning v1', 'ref-deleted warning v2'])
  assert.deepEqual(words(before, before), [])
  assert.deepEqual(words([ref('branch', 'main', '1')], []), ['ref-deleted warning main'])
})

test('refEvents keeps a branch and a tag of one name apart', () => {
  assert.deepEqual(words([ref('tag', 'x', '1')], [ref('branch', 'x', '1')]), ['ref-deleted warning x'])
})

test('refEvents of thousands of lost tags are few, and say how many more there are', () => {
  const many = Array.from({ length: 3000 }, (_, at) => ref('tag', `v${at}`, '1'))
  const events = refEvents(REPO, many, [], AT)
  assert.equal(events.length, 20)
  assert.equal(events.at(-1)?.detail['others'], 2980)
})

test('refEvents of equal lists in any order are none', () => {
  const refs = fc.uniqueArray(
    fc.record({
      kind: fc.constantFrom('branch' as const, 'tag' as const),
      name: fc.string(),
      commit: fc.constantFrom(commit('1'), commit('2')),
    }),
    { selector: ({ kind, name }) => `${kind} ${name}` },
  )
  fc.assert(fc.property(refs, (some) => assert.deepEqual(refEvents(REPO, some, some.toReversed(), AT), [])))
})

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(commit) as [never, never, never, never]
const heads = { before: B, after: C }
const given = { at: AT, wasKnown: false }

test('historyEvents tells how the old head came to be no ancestor', () => {
  const how = (commits: never[], wasKnown = false): unknown =>
    historyEvents(REPO, heads, { commits, isComplete: true }, { at: AT, wasKnown }).map(({ detail }) => detail['how'])

  assert.deepEqual(how([C, B, A]), [])
  assert.deepEqual(how([C, D, B]), [])
  assert.deepEqual(how([C]), ['squashed'])
  assert.deepEqual(how([C, D]), ['replaced'])
  assert.deepEqual(how([C, A], true), ['moved-back'])
})

test('historyEvents concludes nothing from half a history, another one, or no move', () => {
  assert.deepEqual(historyEvents(REPO, heads, { commits: [C, D], isComplete: false }, given), [])
  assert.deepEqual(historyEvents(REPO, heads, { commits: [D, A], isComplete: true }, given), [])
  assert.deepEqual(historyEvents(REPO, heads, { commits: [], isComplete: true }, given), [])
  assert.deepEqual(historyEvents(REPO, { before: C, after: C }, { commits: [C], isComplete: true }, given), [])
})
