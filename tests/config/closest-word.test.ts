import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closestWord, didYouMean } from '../../src/config/closest-word.ts'

const WORDS = ['every', 'match', 'keep', 'org', 'user', 'repo']

test('closestWord finds nothing for what is like no word, or far too long', () => {
  assert.equal(closestWord('colour', WORDS), undefined)
  assert.equal(closestWord('or', ['and']), undefined)
  assert.equal(closestWord('', WORDS), undefined)
  assert.equal(closestWord('every'.repeat(100_000), WORDS), undefined)
  assert.equal(didYouMean('colour', WORDS), '')
})

test('closestWord forgives a missing, added, wrong or swapped letter and the case', () => {
  assert.deepEqual(
    ['evry', 'everry', 'evary', 'eevry', 'EVERY', 'ogr', 'users', 'kep'].map((typed) => closestWord(typed, WORDS)),
    ['every', 'every', 'every', 'every', 'every', 'org', 'user', 'keep'],
  )
  assert.equal(didYouMean('evry', WORDS), '; did you mean "every"?')
})
