import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contradicts, licenseChangeSeverity, licenseTextSeverity } from '../../src/domain/license-change.ts'
import { licenseFormOf } from '../../src/domain/license-form.ts'
import type { LicenseMatch } from '../../src/domain/license-match.ts'
import type { LicenseFacts } from '../../src/domain/repo.ts'
import { parseSpdx } from '../../src/lib/parse-spdx.ts'

function stated(license: string | undefined, license_name?: string, license_link?: string): LicenseFacts {
  return { license, license_name, license_link }
}

function severity(before: LicenseFacts, after: LicenseFacts, allow?: string[]): string {
  return licenseChangeSeverity(before, after, { allow, parseSpdx })
}

const exact = (...ids: string[]): LicenseMatch => ({ kind: 'exact', ids })
const altered = (...ids: string[]): LicenseMatch => ({ kind: 'altered', ids, similarity: 0.9 })
const UNKNOWN: LicenseMatch = { kind: 'unknown' }

test('licenseChangeSeverity: permissive to restrictive or unknown is critical', () => {
  assert.equal(severity(stated('apache-2.0'), stated('other', 'qwen-research')), 'critical')
  assert.equal(severity(stated('mit'), stated('cc-by-nc-4.0')), 'critical')
  assert.equal(severity(stated('mit'), stated('other')), 'critical')
  assert.equal(severity(stated('mit'), stated(undefined)), 'critical')
  assert.equal(severity(stated('apache-2.0'), stated('mit')), 'notice')
  assert.equal(severity(stated('other', 'qwen'), stated('other', 'qwen-research')), 'warning')
})

test('licenseChangeSeverity: another spelling of the same licence is info, on the allow list or not', () => {
  assert.equal(severity(stated('apache-2.0'), stated('Apache-2.0')), 'info')
  assert.equal(severity(stated('mit'), stated('mit', undefined, 'LICENSE')), 'info')
  const qwen = stated('other', 'tongyi-qianwen')
  assert.equal(severity(qwen, stated('other', 'tongyi-qianwen-license-agreement'), ['mit']), 'info')
})

test('licenseChangeSeverity: what is not on the allow list is critical, names and SPDX ids count', () => {
  const from = stated('other', 'qwen')
  assert.equal(severity(from, stated('bsd-3-clause'), ['apache-2.0', 'mit']), 'critical')
  assert.equal(severity(from, stated('mit'), ['apache-2.0', 'mit']), 'notice')
  assert.equal(severity(from, stated('gpl-3.0'), ['gpl-3.0-only']), 'warning')
  assert.equal(severity(stated('mit'), stated('other', 'qwen'), ['qwen']), 'critical')
  assert.equal(severity(stated('other', 'qwen-research'), from, ['qwen']), 'warning')
  assert.equal(severity(from, stated('MIT OR GPL-3.0-only'), ['mit']), 'notice')
})

test('licenseTextSeverity: another text is a warning, a known one that is not permissive any more is critical', () => {
  assert.equal(licenseTextSeverity(exact('Apache-2.0'), altered('Apache-2.0'), undefined), 'warning')
  assert.equal(licenseTextSeverity(UNKNOWN, UNKNOWN, undefined), 'warning')
  assert.equal(licenseTextSeverity(exact('Apache-2.0'), undefined, undefined), 'warning')
  assert.equal(licenseTextSeverity(exact('Apache-2.0'), exact('LicenseRef-qwen-research'), undefined), 'critical')
  assert.equal(licenseTextSeverity(exact('LicenseRef-qwen'), exact('Apache-2.0'), ['mit']), 'critical')
  assert.equal(licenseTextSeverity(undefined, exact('Apache-2.0'), undefined), 'notice')
})

test('contradicts: a known text under another name, or an altered text under an SPDX name', () => {
  const check = (facts: LicenseFacts, match: LicenseMatch): boolean =>
    contradicts(licenseFormOf(facts, parseSpdx), match)

  assert.ok(check(stated('apache-2.0'), exact('LicenseRef-qwen-research')))
  assert.ok(check(stated('apache-2.0'), altered('Apache-2.0')))
  assert.ok(check(stated('other', 'qwen-research'), exact('LicenseRef-qwen')))
  assert.ok(!check(stated('apache-2.0'), exact('Apache-2.0')))
  assert.ok(!check(stated('gpl-3.0'), exact('GPL-3.0', 'GPL-3.0-only', 'GPL-3.0-or-later')))
  assert.ok(!check(stated('other', 'qwen-research'), altered('LicenseRef-qwen-research')))
  assert.ok(!check(stated('apache-2.0'), UNKNOWN))
  assert.ok(!check(stated('other'), exact('MIT')))
  assert.ok(!check(stated(undefined), exact('MIT')))
})
