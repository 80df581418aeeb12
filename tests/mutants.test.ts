import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { applyMutant } from '../scripts/mutants/apply-mutant.ts'
import { BLOCK_MUTANTS } from '../scripts/mutants/block-mutants.ts'
import { DISK_MUTANTS } from '../scripts/mutants/disk-mutants.ts'
import { NETWORK_MUTANTS } from '../scripts/mutants/network-mutants.ts'
import { SMALL_MUTANTS } from '../scripts/mutants/small-mutants.ts'
import { WIRE_MUTANTS } from '../scripts/mutants/wire-mutants.ts'

const MUTANTS = [...DISK_MUTANTS, ...BLOCK_MUTANTS, ...SMALL_MUTANTS, ...WIRE_MUTANTS, ...NETWORK_MUTANTS]
const ROOT = new URL('../', import.meta.url)

/** What must hold for bytes on their way in, I1 to I10, and for the connections they come by. */
const INVARIANTS = [...Array.from({ length: 10 }, (_, at) => at + 1), 37, 38, 39, 40].map((number) => `I${number}`)

test('every mutant can still be made: its guard is in its file exactly once, and its test exists', () => {
  for (const mutant of MUTANTS) {
    const changed = applyMutant(readFileSync(new URL(mutant.file, ROOT), 'utf8'), mutant)
    assert.notEqual(changed, readFileSync(new URL(mutant.file, ROOT), 'utf8'))
    assert.ok(existsSync(new URL(mutant.test, ROOT)), mutant.test)
  }
})

test('every invariant of bytes and connections has a mutant', () => {
  assert.deepEqual(new Set(MUTANTS.map(({ invariant }) => invariant)), new Set(INVARIANTS))
})

test('a guard that is not there, or is there twice, is an error', () => {
  const mutant = { ...MUTANTS[0]!, find: 'x' }

  assert.throws(() => applyMutant('a', mutant), /0 times/)
  assert.throws(() => applyMutant('axbx', mutant), /2 times/)
})
