import { comparableLicense } from './license-facts.ts'
import type { LicenseFacts } from './repo.ts'

/** An SPDX licence expression, taken apart. */
export type SpdxTree =
  | { readonly license: string; readonly plus?: true | undefined; readonly exception?: string | undefined }
  | { readonly conjunction: 'and' | 'or'; readonly left: SpdxTree; readonly right: SpdxTree }

/** Reads an SPDX expression strictly; undefined for anything else. Never throws. */
export type ParseSpdx = (text: string) => SpdxTree | undefined

/** `restrictive`: known, and it asks for more than a notice. `unknown` is never treated as permissive. */
export type LicenseKind = 'permissive' | 'restrictive' | 'unknown'

/** What a card says in the one form in which licences are compared. */
export interface LicenseForm {
  /** SPDX expression; `LicenseRef-…` for what SPDX does not list. */
  readonly expression: string
  readonly kind: LicenseKind
}

/** The Hub's keys whose SPDX id is not just another letter case, and those that mean none. */
const SPDX_OF_HUB_KEY: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'c-uda': 'C-UDA-1.0',
    'bsl-1.0': 'BSL-1.0',
    'odc-by': 'ODC-By-1.0',
    odbl: 'ODbL-1.0',
    pddl: 'PDDL-1.0',
    'lgpl-lr': 'LGPLLR',
    'gpl-2.0': 'GPL-2.0-only',
    'gpl-3.0': 'GPL-3.0-only',
    'agpl-3.0': 'AGPL-3.0-only',
    'lgpl-2.1': 'LGPL-2.1-only',
    'lgpl-3.0': 'LGPL-3.0-only',
    'gfdl-1.3': 'GFDL-1.3-only',
  }),
)

const PERMISSIVE_IDS =
  '0BSD AFL-3.0 Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 CC-BY-2.0 CC-BY-2.5 ' +
  'CC-BY-3.0 CC-BY-4.0 CC0-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 ECL-2.0 etalab-2.0 ISC MIT MIT-0 NCSA ' +
  'ODC-By-1.0 OpenMDW-1.0 PDDL-1.0 PostgreSQL Unlicense WTFPL Zlib'
const RESTRICTIVE_IDS =
  'AGPL-3.0-only AGPL-3.0-or-later C-UDA-1.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 ' +
  'CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CDLA-Sharing-1.0 EPL-1.0 ' +
  'EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.3-only GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only ' +
  'LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later LGPLLR LPPL-1.3c MPL-2.0 MS-PL ODbL-1.0 OFL-1.1 OSL-3.0 ' +
  'LicenseRef-qwen LicenseRef-qwen-research LicenseRef-tongyi-qianwen LicenseRef-tongyi-qianwen-research'
const PERMISSIVE = new Set(PERMISSIVE_IDS.split(' '))
const RESTRICTIVE = new Set(RESTRICTIVE_IDS.split(' '))
const IDS_BY_LOWER_CASE = new Map([...PERMISSIVE, ...RESTRICTIVE].map((id) => [id.toLowerCase(), id]))

/** Other names under which the Qwen family's licences were stated. */
const SAME_NAMES = new Map([
  ['tongyi-qianwen-license-agreement', 'tongyi-qianwen'],
  ['tongyi-qianwen-license', 'tongyi-qianwen'],
  ['qwen-license', 'qwen'],
  ['qwen-license-agreement', 'qwen'],
  ['qwen-research-license', 'qwen-research'],
  ['qwen-research-license-agreement', 'qwen-research'],
])

/**
 * The licence a card states, as an SPDX expression. Several at once are joined by AND: each must be kept. A name beside
 * `license: other` is the author's own, so it becomes a `LicenseRef-…` even when it looks like a known one. Undefined
 * when the card states none.
 */
export function licenseFormOf(facts: LicenseFacts, parseSpdx: ParseSpdx): LicenseForm | undefined {
  const stated = facts.license === undefined ? undefined : comparableLicense(facts.license)
  const isOwn = stated === undefined || stated === 'other' || stated === ''
  if (isOwn) {
    const name = comparableLicense(facts.license_name ?? '')
    if (name !== '') return formOfRef(licenseRef(name))
    return stated === 'other' ? formOfRef('LicenseRef-other') : undefined
  }
  const trees = (facts.license ?? '').split(', ').flatMap((part) => {
    const key = comparableLicense(part)
    return key === '' ? [] : [treeOf(part.trim(), key, parseSpdx)]
  })
  if (trees.length === 0) return undefined
  const parts = trees.map((tree) => print(tree, trees.length > 1))
  return { expression: [...new Set(parts)].join(' AND '), kind: weakest(trees.map(kindOfTree)) }
}

/** What is known of one SPDX id. */
export function kindOfId(id: string): LicenseKind {
  if (PERMISSIVE.has(id)) return 'permissive'
  return RESTRICTIVE.has(id) ? 'restrictive' : 'unknown'
}

/** Single ids of an expression made by `licenseFormOf`. */
export function idsOfExpression(expression: string): readonly string[] {
  return expression.split(/[\s()]+/).filter((word) => word !== '' && !/^(?:AND|OR|WITH)$/.test(word))
}

function treeOf(stated: string, key: string, parseSpdx: ParseSpdx): SpdxTree {
  const id = SPDX_OF_HUB_KEY.get(key) ?? IDS_BY_LOWER_CASE.get(key)
  if (id !== undefined) return { license: id }
  return parseSpdx(stated) ?? { license: licenseRef(key) }
}

function formOfRef(ref: string): LicenseForm {
  return { expression: ref, kind: kindOfId(ref) }
}

/** An SPDX reference for any name. Two names never get the same one by their letters: others are written as numbers. */
function licenseRef(name: string): string {
  const known = SAME_NAMES.get(name) ?? name
  const safe = known.replaceAll(/[^a-z0-9.-]/gu, (letter) => {
    if (letter === ' ' || letter === '_') return '-'
    return `-u${(letter.codePointAt(0) ?? 0).toString(16)}-`
  })
  return `LicenseRef-${safe}`
}

function kindOfTree(tree: SpdxTree): LicenseKind {
  if ('license' in tree) return kindOfId(tree.license)
  const kinds = [kindOfTree(tree.left), kindOfTree(tree.right)]
  // With OR the best one may be chosen.
  if (tree.conjunction === 'or') return kinds.includes('permissive') ? 'permissive' : weakest(kinds)
  return weakest(kinds)
}

function weakest(kinds: readonly LicenseKind[]): LicenseKind {
  if (kinds.includes('unknown')) return 'unknown'
  return kinds.includes('restrictive') ? 'restrictive' : 'permissive'
}

function print(tree: SpdxTree, isPart: boolean): string {
  if ('license' in tree) {
    const plus = tree.plus === true ? '+' : ''
    return `${tree.license}${plus}${tree.exception === undefined ? '' : ` WITH ${tree.exception}`}`
  }
  const text = `${print(tree.left, true)} ${tree.conjunction.toUpperCase()} ${print(tree.right, true)}`
  return isPart ? `(${text})` : text
}
