import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { packHash, packLicense, pathKeyOf, pathOfKey, unpackHash, unpackLicense } from '../../src/db/codec.ts'
import { packDetail, unpackDetail } from '../../src/db/detail.ts'

/** Any JavaScript string: also NUL, halves of surrogate pairs and the replacement character. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\ud800', '\udc00', '\udbff', '\ufffd', '\0', '\u001a', '$&', 'a', '/', '\u{1f600}'),
    fc.string({ unit: 'binary' }),
  ),
})

/** Comparison by code point, where a half of a pair is its own number. */
function compareByCodePoint(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => Array.from(text, (character) => character.codePointAt(0) ?? 0))
  for (const [at, code] of (left ?? []).entries()) {
    const other = right?.[at]
    if (other === undefined) return 1
    if (code !== other) return code - other
  }
  return (left?.length ?? 0) - (right?.length ?? 0)
}

test('`pathKeyOf` loses nothing of any string', () => {
  fc.assert(fc.property(anyText, (path) => pathOfKey(pathKeyOf(path)) === path))
})

test('`pathKeyOf` orders by code point', () => {
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      const order = Buffer.compare(pathKeyOf(a), pathKeyOf(b))
      assert.equal(order, Math.sign(compareByCodePoint(a, b)))
    }),
  )
})

test('`packHash` and `packLicense` lose nothing', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.stringMatching(/^[0-9a-f]{64}$/)), (text) => unpackHash(packHash(text)) === text),
  )
  assert.equal(unpackHash(packHash(undefined)), undefined)
  assert.equal(packHash('ab'.repeat(32))?.length, 33)
  const text = fc.option(anyText, { nil: undefined })
  fc.assert(
    fc.property(text, text, text, (license, name, link) => {
      const facts = { license, license_name: name, license_link: link }
      assert.deepEqual(unpackLicense(packLicense(facts)), facts)
    }),
  )
})

test('`packDetail` gives every sentence back, and one form for every file it names', () => {
  fc.assert(
    fc.property(fc.string(), anyText, (sentence, path) => {
      const detail = `${sentence} ${path} ${sentence}`
      const expected = detail.includes('\u001a') ? detail.toWellFormed() : detail
      assert.equal(unpackDetail(packDetail(detail, path), path), expected)
    }),
  )
  assert.equal(packDetail('a.bin is not wanted', 'a.bin'), packDetail('$&.bin is not wanted', '$&.bin'))
})
