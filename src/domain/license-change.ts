import type { Severity } from './events.ts'
import { comparableLicense } from './license-facts.ts'
import { idsOfExpression, kindOfId, licenseFormOf, type LicenseForm, type ParseSpdx } from './license-form.ts'
import type { LicenseMatch } from './license-match.ts'
import { effectiveLicense, type LicenseFacts } from './repo.ts'

/** What weighs a change besides the two licences. */
export interface LicenseRules {
  /** Lower-case names that are fine; undefined = no rule. */
  readonly allow: readonly string[] | undefined
  readonly parseSpdx: ParseSpdx
}

/**
 * How much a change of what the card states matters. `info`: only the spelling or the link. `critical`: a permissive
 * licence is gone, or the new one is not on the allow list. `notice`: the new one is permissive. Else `warning`.
 */
export function licenseChangeSeverity(before: LicenseFacts, after: LicenseFacts, rules: LicenseRules): Severity {
  const from = licenseFormOf(before, rules.parseSpdx)
  const to = licenseFormOf(after, rules.parseSpdx)
  if (from?.expression === to?.expression) return 'info'
  if (rules.allow !== undefined && !isAllowed(after, to, rules.allow)) return 'critical'
  if (from?.kind === 'permissive' && to?.kind !== 'permissive') return 'critical'
  return to?.kind === 'permissive' ? 'notice' : 'warning'
}

/** Each licence the card states is on the list, by its name on the Hub or its SPDX id. No statement is no permission. */
function isAllowed(facts: LicenseFacts, form: LicenseForm | undefined, allow: readonly string[]): boolean {
  if (form === undefined) return false
  const names = (effectiveLicense(facts) ?? '').split(', ').map(comparableLicense)
  if (names.every((name) => allow.includes(name))) return true
  const ids = idsOfExpression(form.expression)
  const isChoice = form.expression.includes(' OR ') && !form.expression.includes(' AND ')
  return isChoice ? ids.some((id) => isIdAllowed(id, allow)) : ids.every((id) => isIdAllowed(id, allow))
}

/**
 * How much a change of a licence text under the same name matters: `warning`, and `critical` when both texts are known,
 * the old one was permissive and the new one is not, or is not on the allow list.
 */
export function licenseTextSeverity(
  before: LicenseMatch | undefined,
  after: LicenseMatch | undefined,
  allow: readonly string[] | undefined,
): Severity {
  if (after === undefined) return 'warning'
  if (after.kind !== 'exact') return before === undefined ? 'notice' : 'warning'
  if (allow !== undefined && !after.ids.some((id) => isIdAllowed(id, allow))) return 'critical'
  const isOpen = after.ids.some((id) => kindOfId(id) === 'permissive')
  if (before === undefined) return 'notice'
  const wasOpen = before.kind === 'exact' && before.ids.some((id) => kindOfId(id) === 'permissive')
  return wasOpen && !isOpen ? 'critical' : 'warning'
}

function isIdAllowed(id: string, allow: readonly string[]): boolean {
  return allow.includes(id.toLowerCase()) || allow.includes(id.replace(/^LicenseRef-/, '').toLowerCase())
}

/**
 * Whether a LICENSE text is another licence than the card states: a known one under another name, or an altered text of
 * the very licence that is named. A text that nothing is known of contradicts nothing, and so does a card that only says
 * `other`.
 */
export function contradicts(form: LicenseForm | undefined, match: LicenseMatch): boolean {
  if (form === undefined || form.expression === 'LicenseRef-other') return false
  const stated = idsOfExpression(form.expression).map(baseId)
  const isStated = (ids: readonly string[]): boolean => ids.some((id) => stated.includes(baseId(id)))
  if (match.kind === 'exact') return !isStated(match.ids)
  // A name of the author's own stays when its text gets a new version; an SPDX id is one text.
  return match.kind === 'altered' && isStated(match.ids) && !form.expression.startsWith('LicenseRef-')
}

/** The same text serves "only" and "or later". */
function baseId(id: string): string {
  return id.replace(/(?:-only|-or-later|\+)$/, '')
}
