import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeOwnerRow, decodeRepo } from '../../src/hub/wire-repo.ts'

const ROW = {
  _id: '66e98aed0123456789abcdef',
  id: 'Qwen/A',
  sha: 'c202236235762e1c871ad0ccb60c8ee5ba337b9a',
  createdAt: '2026-09-14T00:00:00Z',
  lastModified: '2026-09-20T09:41:00.000Z',
  gated: false,
  private: false,
  disabled: false,
  tags: ['gguf', 'license:apache-2.0'],
  cardData: { license: 'apache-2.0' },
}

function facts(change: Record<string, unknown>) {
  const row = decodeRepo({ ...ROW, ...change }, 'model')
  assert.equal(row.kind, 'facts', JSON.stringify(row))
  if (row.kind !== 'facts') throw new Error('unreachable')
  return row.facts
}

test('decodeRepo refuses rows whose identity or state cannot be believed', () => {
  const refused: Record<string, unknown>[] = [
    { _id: undefined },
    { _id: '66e98aed' },
    { _id: ROW._id.toUpperCase() },
    { id: undefined },
    { id: 'A' },
    { id: '../x' },
    { id: 'Qwen/../x' },
    { id: 'Qwen/a/b' },
    { id: 7 },
    { sha: 'main' },
    { sha: ROW.sha.slice(1) },
    { sha: ROW.sha.toUpperCase() },
    { sha: '../x' },
    { sha: 7 },
    { gated: 'yes' },
    { gated: null },
    { private: 'false' },
    { private: null },
    { disabled: 1 },
    { tags: 'gguf' },
    { tags: [1] },
    { tags: ['x'.repeat(2001)] },
    { tags: Array.from({ length: 5001 }, () => 'x') },
  ]

  for (const change of refused) {
    const row = decodeRepo({ ...ROW, ...change }, 'model')
    assert.equal(row.kind, 'refused', JSON.stringify(change).slice(0, 80))
  }
  for (const value of [null, 'x', 7, [], undefined]) assert.equal(decodeRepo(value, 'model').kind, 'refused')
})

test('decodeRepo names a refused row, shortened', () => {
  const row = decodeRepo({ ...ROW, id: `Qwen/${'x'.repeat(9999)}` }, 'model')

  assert.equal(row.kind === 'refused' ? row.name.length : 0, 200)
})

test('decodeRepo drops times and cards that do not hold, and keeps the row', () => {
  assert.equal(facts({ createdAt: 'yesterday', lastModified: 5 }).createdAt, undefined)
  assert.equal(facts({ lastModified: '2026-02-30T00:00:00.000Z' }).lastModified, undefined)
  for (const cardData of ['license: mit', ['mit'], null, 7]) assert.equal(facts({ cardData }).cardData, undefined)
})

test('decodeRepo drops a card too large or too deep to keep but still reads its licence', () => {
  let deep: unknown = 'x'
  for (let level = 0; level < 70; level++) deep = { deep }
  for (const cardData of [
    { license: 'mit', text: 'x'.repeat(256 * 1024) },
    { license: 'mit', deep },
  ]) {
    const repo = facts({ cardData })
    assert.equal(repo.cardData, undefined)
    assert.equal(repo.license.license, 'mit')
  }
})

test('decodeRepo reads the stricter gate where the kind is not said', () => {
  assert.equal(facts({ gated: true }).gated, 'manual')
  assert.equal(facts({ gated: 'auto' }).gated, 'auto')
  assert.equal(facts({ gated: undefined }).gated, false)
})

test('decodeRepo takes an empty repository for one without a commit', () => {
  assert.equal(facts({ sha: null }).commit, undefined)
  assert.equal(facts({ sha: undefined }).commit, undefined)
})

test('decodeRepo normalises what it believes', () => {
  assert.deepEqual(facts({}), {
    ref: { type: 'model', name: 'Qwen/A' },
    hubId: ROW._id,
    commit: ROW.sha,
    createdAt: '2026-09-14T00:00:00.000Z',
    lastModified: '2026-09-20T09:41:00.000Z',
    gated: false,
    private: false,
    disabled: false,
    tags: ROW.tags,
    cardData: ROW.cardData,
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
  })
})

test('decodeOwnerRow refuses repositories of another owner, whatever the case of the asked one', () => {
  assert.equal(decodeOwnerRow({ ...ROW, id: 'evil/B' }, 'model', 'Qwen').kind, 'refused')
  assert.equal(decodeOwnerRow({ ...ROW, id: 'Qwen2/B' }, 'model', 'Qwen').kind, 'refused')
  assert.equal(decodeOwnerRow(ROW, 'model', 'qwen').kind, 'facts')
})
