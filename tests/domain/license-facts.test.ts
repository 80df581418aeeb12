import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comparableLicense, licenseFactsOf } from '../../src/domain/license-facts.ts'

const NONE = { license: undefined, license_name: undefined, license_link: undefined }

test('licenseFactsOf takes no number, object or mixed list for a licence', () => {
  for (const license of [1e3, true, null, { a: 1 }, ['mit', 7], [], '']) {
    assert.deepEqual(licenseFactsOf({ license }, []), NONE)
  }
})

test('licenseFactsOf survives cards that are no object', () => {
  for (const card of [undefined, null, 'license: mit', 7, ['mit']]) assert.deepEqual(licenseFactsOf(card, []), NONE)
})

test('licenseFactsOf falls back to the licence tags, never to inherited properties', () => {
  assert.deepEqual(licenseFactsOf({ license: {} }, ['gguf', 'license:apache-2.0']), { ...NONE, license: 'apache-2.0' })
  assert.deepEqual(licenseFactsOf(JSON.parse('{"__proto__":{"license":"mit"}}'), []), NONE)
})

test('licenseFactsOf prefers the card and joins lists', () => {
  const card = { license: ['mit', 'apache-2.0'], license_name: 'qwen', license_link: 'LICENSE' }

  assert.deepEqual(licenseFactsOf(card, ['license:other']), {
    license: 'mit, apache-2.0',
    license_name: 'qwen',
    license_link: 'LICENSE',
  })
})

test('licenseFactsOf cuts values to 200 characters between characters', () => {
  const { license, license_name } = licenseFactsOf(
    { license: 'x'.repeat(500), license_name: `${'x'.repeat(199)}😀` },
    [],
  )

  assert.equal(license?.length, 200)
  assert.equal(license_name, 'x'.repeat(199))
})

test('licenseFactsOf records invisible characters, comparableLicense ignores them', () => {
  assert.equal(licenseFactsOf({ license: 'MIT\u200b' }, []).license, 'MIT\u200b')
  assert.equal(comparableLicense(' MIT\u200b'), 'mit')
  assert.notEqual(comparableLicense('Ара\u0441he-2.0'), comparableLicense('apache-2.0'))
})
