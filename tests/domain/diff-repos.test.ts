import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { diffRepos, type DiffContext, type RepoBefore } from '../../src/domain/diff-repos.ts'
import type { LicenseFacts, RepoFacts } from '../../src/domain/repo.ts'
import { parseSpdx } from '../../src/lib/parse-spdx.ts'
import { commit, facts, hubId, model } from './builders.ts'

const AT = '2026-09-01T10:00:00.000Z'
const EARLIER = '2026-09-01T09:00:00.000Z'

function context(changes: Partial<DiffContext> = {}): DiffContext {
  return {
    at: AT,
    isFirst: false,
    licenseAllow: undefined,
    parseSpdx,
    confirmLoss: { misses: 3, overMs: 1_800_000 },
    ...changes,
  }
}

/** What is known of a repo whose facts were `facts(name)`. */
function known(name: string, changes: Partial<RepoBefore> = {}): RepoBefore {
  return {
    repoId: 1,
    ref: model(name),
    hubId: hubId('a'),
    head: commit('b'),
    gated: false,
    private: false,
    disabled: false,
    license: license('apache-2.0'),
    upstream: 'ok',
    movedTo: undefined,
    misses: 0,
    firstMissAt: undefined,
    ...changes,
  }
}

function license(name?: string, license_name?: string, license_link?: string): LicenseFacts {
  return { license: name, license_name, license_link }
}

/** Type and severity of each event of one known repo that is listed with other facts. */
function eventsOf(
  before: Partial<RepoBefore>,
  after: Partial<RepoFacts>,
  changes: Partial<DiffContext> = {},
): string[] {
  const diff = diffRepos([known('Qwen/A', before)], [facts('Qwen/A', after)], context(changes))
  return diff.events.map((event) => `${event.type} ${event.severity}`)
}

test('diffRepos concludes nothing from absence: it counts', () => {
  const repos = [known('Qwen/A'), known('Qwen/B', { repoId: 2, hubId: hubId('b'), misses: 2, firstMissAt: EARLIER })]

  const diff = diffRepos(repos, [], context())

  assert.deepEqual(diff.events, [])
  assert.deepEqual(diff.changed, [])
  assert.deepEqual(diff.missing, [
    { repoId: 1, misses: 1, firstMissAt: AT, isDue: false },
    { repoId: 2, misses: 3, firstMissAt: EARLIER, isDue: true },
  ])
})

test('diffRepos counts no misses of a repo whose absence is explained', () => {
  for (const upstream of ['unavailable', 'recreated', 'renamed'] as const) {
    assert.deepEqual(diffRepos([known('Qwen/A', { upstream })], [], context()).missing, [], upstream)
  }
  for (const upstream of ['ok', 'gated', 'disabled', 'unknown'] as const) {
    assert.equal(diffRepos([known('Qwen/A', { upstream })], [], context()).missing.length, 1, upstream)
  }
})

test('diffRepos says of an unchanged repo only that it was seen', () => {
  const diff = diffRepos([known('Qwen/A')], [facts('Qwen/A')], context())

  assert.deepEqual(diff, { changed: [], unchanged: [1], missing: [], events: [] })
})

test('diffRepos takes a moved head as a change without an event of its own', () => {
  for (const after of [{ commit: commit('c') }, { commit: undefined }]) {
    const diff = diffRepos([known('Qwen/A')], [facts('Qwen/A', after)], context())
    assert.deepEqual([diff.changed.length, diff.unchanged.length, diff.events.length], [1, 0, 0])
  }
})

test('diffRepos publishes a new repo: as backlog at the first poll, as news later', () => {
  const first = diffRepos([], [facts('Qwen/A')], context({ isFirst: true })).events[0]
  const later = diffRepos([], [facts('Qwen/A')], context()).events[0]

  assert.deepEqual([first?.type, first?.severity, first?.detail], ['repo-published', 'info', { backlog: true }])
  assert.deepEqual([later?.type, later?.severity, later?.detail], ['repo-published', 'notice', { backlog: false }])
  assert.deepEqual(later?.after, { hubId: hubId('a'), commit: commit('b'), createdAt: facts('Qwen/A').createdAt })
})

test('diffRepos calls another repo under a known name recreated, and misses the old one no more', () => {
  const diff = diffRepos([known('Qwen/A')], [facts('qwen/a', { hubId: hubId('c'), commit: undefined })], context())

  assert.equal(diff.events.length, 1)
  assert.equal(diff.events[0]?.type, 'repo-recreated')
  assert.equal(diff.events[0]?.severity, 'critical')
  assert.deepEqual(diff.events[0]?.before, { hubId: hubId('a'), commit: commit('b') })
  assert.deepEqual(diff.missing, [])
})

test('diffRepos tells a rename from a loss by the permanent id', () => {
  const diff = diffRepos([known('Qwen/A')], [facts('Qwen/B')], context())

  assert.deepEqual(
    diff.events.map(({ type, severity, before, after }) => ({ type, severity, before, after })),
    [{ type: 'repo-renamed', severity: 'warning', before: 'Qwen/A', after: 'Qwen/B' }],
  )
  assert.deepEqual(diff.missing, [])
})

test('diffRepos keeps two repos apart that swap their names', () => {
  const before = [known('Qwen/A'), known('Qwen/B', { repoId: 2, hubId: hubId('b') })]

  const diff = diffRepos(before, [facts('Qwen/B'), facts('Qwen/A', { hubId: hubId('b') })], context())

  assert.deepEqual(
    diff.events.map((event) => event.type),
    ['repo-renamed', 'repo-renamed'],
  )
  assert.deepEqual(diff.missing, [])
})

test('diffRepos raises gate, disabled and restored as they happen, both ways', () => {
  assert.deepEqual(eventsOf({}, { gated: 'manual' }), ['gate-changed warning'])
  assert.deepEqual(eventsOf({ gated: 'auto', upstream: 'gated' }, { gated: 'manual' }), ['gate-changed warning'])
  assert.deepEqual(eventsOf({ gated: 'auto', upstream: 'gated' }, {}), ['gate-changed notice'])
  assert.deepEqual(eventsOf({}, { disabled: true }), ['repo-disabled critical'])
  assert.deepEqual(eventsOf({ disabled: true, upstream: 'disabled' }, {}), ['repo-disabled notice'])
  // Only a direct answer had said so.
  assert.deepEqual(eventsOf({ upstream: 'disabled' }, {}), ['repo-disabled notice'])
  assert.deepEqual(eventsOf({ disabled: true, upstream: 'disabled' }, { disabled: true }), [])
  assert.deepEqual(eventsOf({ upstream: 'unavailable' }, {}), ['repo-restored notice'])
})

test('diffRepos raises everything that happened to one repo between two polls', () => {
  const diff = diffRepos(
    [known('Qwen/A', { upstream: 'unavailable' })],
    [facts('Qwen/B', { gated: 'auto', license: license('other', 'qwen') })],
    context(),
  )

  assert.deepEqual(
    diff.events.map((event) => event.type),
    ['repo-restored', 'repo-renamed', 'gate-changed', 'license-changed'],
  )
  assert.deepEqual(diff.changed[0]?.upstream, 'gated')
})

test('diffRepos weighs a licence change by what it takes away', () => {
  const severity = (before: LicenseFacts, after: LicenseFacts, licenseAllow?: string[]) =>
    eventsOf({ license: before }, { license: after }, { licenseAllow })

  assert.deepEqual(severity(license('apache-2.0'), license('other', 'qwen-research')), ['license-changed critical'])
  assert.deepEqual(severity(license('mit'), license()), ['license-changed critical'])
  assert.deepEqual(severity(license('apache-2.0'), license('Ара\u0441he-2.0')), ['license-changed critical'])
  assert.deepEqual(severity(license('other', 'qwen'), license('other', 'qwen-research')), ['license-changed warning'])
  assert.deepEqual(severity(license('other', 'qwen'), license('apache-2.0')), ['license-changed notice'])
  assert.deepEqual(severity(license('apache-2.0'), license('mit')), ['license-changed notice'])
  assert.deepEqual(severity(license('apache-2.0'), license('apache-2.0', undefined, 'LICENSE')), [
    'license-changed info',
  ])
  assert.deepEqual(severity(license('mit'), license('MIT\u200b')), ['license-changed info'])
  assert.deepEqual(severity(license('mit'), license('mit, apache-2.0')), ['license-changed notice'])
  assert.deepEqual(severity(license('mit, apache-2.0'), license('mit, qwen')), ['license-changed critical'])
})

test('diffRepos makes whatever is not on the allow list critical', () => {
  const allow = ['apache-2.0', 'mit']
  const severity = (after: LicenseFacts) =>
    eventsOf({ license: license('other', 'qwen') }, { license: after }, { licenseAllow: allow })

  assert.deepEqual(severity(license('bsd-3-clause')), ['license-changed critical'])
  assert.deepEqual(severity(license('other', 'qwen-research')), ['license-changed critical'])
  assert.deepEqual(severity(license()), ['license-changed critical'])
  assert.deepEqual(severity(license('mit, qwen')), ['license-changed critical'])
  assert.deepEqual(severity(license('Apache-2.0')), ['license-changed notice'])
  assert.deepEqual(severity(license('apache-2.0, mit')), ['license-changed notice'])
})

test('diffRepos puts every known and every listed repo into exactly one place', () => {
  const digit = fc.constantFrom(...'0123456789abcdef'.split(''))
  const ids = fc.uniqueArray(digit, { maxLength: 8 })
  fc.assert(
    fc.property(ids, ids, fc.boolean(), (before, listed, isFirst) => {
      const repos = before.map((id, at) => known(`Qwen/N${id}`, { repoId: at, hubId: hubId(id) }))
      const rows = listed.map((id) => facts(`Qwen/N${id}`, { hubId: hubId(id) }))

      const diff = diffRepos(repos, rows, context({ isFirst }))

      assert.equal(diff.unchanged.length + diff.missing.length, before.length)
      assert.equal(diff.unchanged.length + diff.changed.length, listed.length)
      assert.deepEqual(
        diff.events.map((event) => event.type),
        diff.changed.map(() => 'repo-published'),
      )
    }),
  )
})
