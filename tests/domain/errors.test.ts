import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArchiveError, ERROR_CODES, errorCodeOf, invariant } from '../../src/domain/errors.ts'

test('errorCodeOf calls what is no ArchiveError a bug, and an abort an interruption', () => {
  assert.equal(errorCodeOf(new Error('x')), 'INTERNAL')
  assert.equal(errorCodeOf('x'), 'INTERNAL')
  assert.equal(errorCodeOf(undefined), 'INTERNAL')
  assert.equal(errorCodeOf({ code: 'DISK_FULL' }), 'INTERNAL')
  assert.equal(errorCodeOf(AbortSignal.abort().reason), 'INTERRUPTED')
  assert.equal(errorCodeOf(new ArchiveError('DISK_FULL', 'x')), 'DISK_FULL')
})

test('ERROR_CODES uses only the exit codes that are documented, each code with one', () => {
  const exits = new Set(Object.values(ERROR_CODES).map((facts) => facts.exitCode))

  assert.deepEqual(
    [...exits].sort((a, b) => a - b),
    [1, 2, 3, 6, 8, 9, 10, 78, 130],
  )
  for (const code of Object.keys(ERROR_CODES)) assert.match(code, /^[A-Z]+(_[A-Z]+)*$/)
})

test('ArchiveError carries cause, hint and details', () => {
  const cause = new Error('below')
  const error = new ArchiveError('DISK_FULL', 'no room', { cause, hint: 'free some', details: { freeBytes: 0 } })

  assert.deepEqual([error.name, error.code, error.hint, error.cause], ['ArchiveError', 'DISK_FULL', 'free some', cause])
  assert.deepEqual(error.details, { freeBytes: 0 })
  assert.deepEqual(new ArchiveError('INTERNAL', 'x').details, {})
})

test('invariant throws a plain error only when the claim is false', () => {
  assert.throws(() => invariant(undefined, 'there is one'), /invariant violated: there is one/)
  invariant(true, 'never')
})
