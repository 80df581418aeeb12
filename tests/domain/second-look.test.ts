import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isProofDue, judgeArrival } from '../../src/domain/second-look.ts'

const [FILE, OTHER, THIRD, FOURTH, FIFTH] = [1, 2, 3, 4, 5]

for (const { seen, now, verdict } of [
  { seen: [], now: FILE, verdict: 'confirmed' },
  { seen: [], now: OTHER, verdict: 'ask-again' },
  { seen: [OTHER], now: OTHER, verdict: 'replace' },
  { seen: [OTHER], now: FILE, verdict: 'confirmed' },
  { seen: [OTHER], now: THIRD, verdict: 'ask-again' },
  { seen: [OTHER, THIRD], now: FILE, verdict: 'confirmed' },
  { seen: [OTHER, THIRD], now: OTHER, verdict: 'replace' },
  { seen: [OTHER, THIRD], now: THIRD, verdict: 'replace' },
  { seen: [OTHER, THIRD], now: FOURTH, verdict: 'undecided' },
  { seen: [OTHER, THIRD, FOURTH], now: FIFTH, verdict: 'undecided' },
]) {
  test(`judgeArrival: ${now} after ${JSON.stringify(seen)} where ${FILE} is in the file is ${verdict}`, () => {
    assert.equal(judgeArrival(FILE, seen, now), verdict)
  })
}

test('isProofDue asks for a proof of the first replaced block, and then at doubling numbers', () => {
  const proofs: number[] = []
  for (let replaced = 0; replaced <= 40; replaced += 1) {
    if (isProofDue(replaced, proofs.at(-1) ?? 0)) proofs.push(replaced)
  }

  assert.deepEqual(proofs, [1, 2, 4, 8, 16, 32])
})

test('isProofDue asks for none where nothing was replaced since the last', () => {
  assert.equal(isProofDue(0, 0), false)
  assert.equal(isProofDue(5, 5), false)
})
