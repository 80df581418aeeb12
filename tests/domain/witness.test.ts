import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contradictionEvent, hearWitness, witnessContradictions, type WitnessRow } from '../../src/domain/witness.ts'
import { commit, gitFile, lfsFile, listing, model, sha } from './builders.ts'

const pinned = (digit: string): WitnessRow => ({ sha256: sha(digit), source: `pinned ${digit}`, isPinned: true })
const loose = (digit: string): WitnessRow => ({ sha256: sha(digit), source: `some ${digit}`, isPinned: false })
const bookOf = (rows: readonly WitnessRow[]) => ({ lookUp: () => rows })

test('hearWitness says nothing where nobody speaks', () => {
  assert.equal(hearWitness([], sha('a')), 'silent')
})

test('hearWitness hears only the exact commit where a row speaks for it', () => {
  assert.equal(hearWitness([pinned('b')], sha('a')), 'contradicts')
  assert.equal(hearWitness([pinned('b'), loose('a')], sha('a')), 'contradicts')
  assert.equal(hearWitness([pinned('a'), loose('b')], sha('a')), 'agrees')
  assert.equal(hearWitness([loose('b'), loose('a')], sha('a')), 'agrees')
  assert.equal(hearWitness([loose('b')], sha('a')), 'differs')
})

test('contradictionEvent is critical for the same commit and none for another revision', () => {
  const event = (rows: readonly WitnessRow[]) =>
    contradictionEvent(
      { ref: model('Qwen/A'), commit: commit('b'), path: 'm.gguf' },
      sha('a'),
      bookOf(rows),
      '2026-09-01T00:00:00.000Z',
    )

  assert.deepEqual(event([]), [])
  assert.deepEqual(event([loose('a'), loose('b')]), [])
  assert.deepEqual(event([loose('b')]), [])
  const [critical] = event([loose('c'), pinned('b')])
  assert.equal(critical?.severity, 'critical')
  assert.deepEqual([critical?.before, critical?.after], [[sha('b')], sha('a')])
  assert.deepEqual(critical?.detail['witness'], ['pinned b'])
})

test('witnessContradictions compares the promises of a listing that have a SHA-256', () => {
  const files = [lfsFile('m.gguf'), lfsFile('withheld.gguf', { lfsOid: undefined }), gitFile('README.md')]

  const events = witnessContradictions(listing(files), bookOf([pinned('b')]))

  assert.deepEqual(
    events.map((event) => event.detail['path']),
    ['m.gguf'],
  )
  assert.deepEqual(witnessContradictions(listing(files), bookOf([])), [])
})

test('witnessContradictions makes one remark of all files that differ from some other revision', () => {
  const files = [lfsFile('m.gguf'), lfsFile('n.gguf')]

  const [remark, ...more] = witnessContradictions(listing(files), bookOf([loose('b')]))

  assert.deepEqual(more, [])
  assert.deepEqual([remark?.type, remark?.severity, remark?.detail['count']], ['upstream-damaged', 'info', 2])
})
