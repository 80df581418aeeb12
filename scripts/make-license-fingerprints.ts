/**
 * Writes manifests/license-fingerprints.json: what is needed to know a licence text again, without the texts. They come
 * from the package spdx-license-list, and those of the Qwen family from tests/fixtures/licenses.
 *
 * usage: node scripts/make-license-fingerprints.ts
 */
import { writeFileSync } from 'node:fs'
import spdxLicenses from 'spdx-license-list/full.js'
import { sketchOf, type LicenseFingerprint } from '../src/domain/license-match.ts'
import { licenseWordsOf, type LicenseWords } from '../src/domain/license-words.ts'
import { printFingerprints, sha256Of } from '../src/store/license-book.ts'
import { fixtureText } from '../tests/support/content/fixture-file.ts'

/** Texts of the Qwen family. The ids are those that a card's `license_name` gets, so that card and text can be compared. */
export const QWEN_LICENSES = [
  {
    id: 'LicenseRef-tongyi-qianwen',
    name: 'Tongyi Qianwen LICENSE AGREEMENT, 2023-08-03',
    file: 'tongyi-qianwen-2023-08-03',
  },
  {
    id: 'LicenseRef-tongyi-qianwen-research',
    name: 'Tongyi Qianwen RESEARCH LICENSE AGREEMENT, 2023-11-30',
    file: 'tongyi-qianwen-research-2023-11-30',
  },
  { id: 'LicenseRef-qwen', name: 'Qwen LICENSE AGREEMENT, 2024-09-19', file: 'qwen-2024-09-19' },
  {
    id: 'LicenseRef-qwen-research',
    name: 'Qwen RESEARCH LICENSE AGREEMENT, 2024-09-19',
    file: 'qwen-research-2024-09-19',
  },
] as const

/** Too short a text says too little to be known by. */
const MIN_WORDS = 15
/** What follows these words tells how to apply the licence and is often left out. */
const END_OF_TERMS = 'end of terms and conditions'

/** Every fingerprint; licences that share a text are one. */
export function licenseFingerprints(): LicenseFingerprint[] {
  const found = new Map<string, LicenseFingerprint>()
  for (const [id, { name, licenseText }] of Object.entries(spdxLicenses)) addText(found, id, name, licenseText)
  for (const { id, name, file } of QWEN_LICENSES) addText(found, id, name, fixtureText(`licenses/${file}.txt`))
  return [...found.values()].sort((a, b) => compare(a.ids[0] ?? '', b.ids[0] ?? '') || a.words - b.words)
}

function addText(found: Map<string, LicenseFingerprint>, id: string, name: string, text: string): void {
  const words = licenseWordsOf(text)
  if (words === undefined || words.length < MIN_WORDS) return
  for (const variant of [...variantsOf(words), ...namedByAuthor(id, words)]) {
    const sha256 = sha256Of(variant.join(' '))
    const known = found.get(sha256)
    const ids = [...new Set([...(known?.ids ?? []), id])].sort(compare)
    found.set(sha256, { ids, name: known?.name ?? name, words: variant.length, sha256, sketch: sketchOf(variant) })
  }
}

/** The whole text, and the terms alone where their end is marked. */
function variantsOf(words: LicenseWords): LicenseWords[] {
  const joined = ` ${words.join(' ')} `
  const end = joined.indexOf(` ${END_OF_TERMS} `)
  if (end < 0) return [words]
  const terms = joined.slice(1, end).split(' ')
  return [words, terms, [...terms, ...END_OF_TERMS.split(' ')]]
}

/** SPDX lets the ISC licence name its owner in its disclaimer; nearly every copy says "the author". */
function namedByAuthor(id: string, words: LicenseWords): LicenseWords[] {
  return id === 'ISC' ? [words.flatMap((word) => (word === 'isc' ? ['the', 'author'] : [word]))] : []
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

if (import.meta.main) {
  const file = new URL('../manifests/license-fingerprints.json', import.meta.url)
  const fingerprints = licenseFingerprints()
  writeFileSync(file, printFingerprints(fingerprints))
  process.stdout.write(`${fingerprints.length} texts written to ${file.pathname}\n`)
}
