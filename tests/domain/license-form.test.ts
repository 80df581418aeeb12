import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { licenseFormOf } from '../../src/domain/license-form.ts'
import { parseSpdx } from '../../src/lib/parse-spdx.ts'

function form(license: string | undefined, license_name?: string): string | undefined {
  const found = licenseFormOf({ license, license_name, license_link: undefined }, parseSpdx)
  return found && `${found.expression} ${found.kind}`
}

test('licenseFormOf writes the Hub keys as SPDX', () => {
  assert.equal(form('apache-2.0'), 'Apache-2.0 permissive')
  assert.equal(form(' MIT\u200b'), 'MIT permissive')
  assert.equal(form('gpl-3.0'), 'GPL-3.0-only restrictive')
  assert.equal(form('cc-by-nc-4.0'), 'CC-BY-NC-4.0 restrictive')
  assert.equal(form('c-uda'), 'C-UDA-1.0 restrictive')
})

test('licenseFormOf gives one id to every spelling of a Qwen licence', () => {
  assert.equal(form('other', 'qwen-research'), 'LicenseRef-qwen-research restrictive')
  assert.equal(form('other', 'tongyi-qianwen'), 'LicenseRef-tongyi-qianwen restrictive')
  assert.equal(form('other', 'tongyi-qianwen-license-agreement'), 'LicenseRef-tongyi-qianwen restrictive')
})

test('licenseFormOf takes nothing unknown for permissive', () => {
  assert.equal(form(undefined), undefined)
  assert.equal(form(''), undefined)
  assert.equal(form('other'), 'LicenseRef-other unknown')
  assert.equal(form('unknown'), 'LicenseRef-unknown unknown')
  assert.equal(form('llama3'), 'LicenseRef-llama3 unknown')
  assert.equal(form('Apa\u0441he-2.0'), 'LicenseRef-apa-u441-he-2.0 unknown')
  assert.equal(form('other', 'mit'), 'LicenseRef-mit unknown')
  assert.equal(form('mit, llama3'), 'MIT AND LicenseRef-llama3 unknown')
  assert.equal(form('mit, cc-by-nc-4.0'), 'MIT AND CC-BY-NC-4.0 restrictive')
})

test('licenseFormOf reads expressions: AND asks for all, OR for one', () => {
  assert.equal(form('MIT OR GPL-3.0-only'), 'MIT OR GPL-3.0-only permissive')
  assert.equal(form('MIT AND GPL-3.0-only'), 'MIT AND GPL-3.0-only restrictive')
  assert.equal(form('Apache-2.0 WITH LLVM-exception'), 'Apache-2.0 WITH LLVM-exception permissive')
  assert.equal(form('mit, Apache-2.0 OR MIT'), 'MIT AND (Apache-2.0 OR MIT) permissive')
})

test('licenseFormOf makes an expression of anything, and of two names two', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (name) => {
      const found = licenseFormOf({ license: 'other', license_name: name, license_link: undefined }, parseSpdx)
      assert.ok(found !== undefined && /^LicenseRef-[A-Za-z0-9.-]+$/.test(found.expression))
      assert.notEqual(found.kind, 'permissive')
      assert.ok(parseSpdx(found.expression) !== undefined)
      const stated = licenseFormOf({ license: name, license_name: undefined, license_link: undefined }, parseSpdx)
      assert.ok(stated === undefined || parseSpdx(stated.expression) !== undefined, stated?.expression)
    }),
  )
  assert.notEqual(form('other', '通义'), form('other', '千问'))
})

test('parseSpdx takes no bracket bomb and no other letter case', () => {
  assert.equal(parseSpdx(`${'('.repeat(50_000)}MIT`), undefined)
  assert.equal(parseSpdx('('.repeat(240) + 'MIT' + ')'.repeat(240)) === undefined, false)
  for (const text of ['apache-2.0', 'MIT OR', '', '__proto__', 'MIT\u0000']) assert.equal(parseSpdx(text), undefined)
})
