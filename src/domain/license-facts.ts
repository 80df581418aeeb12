import type { LicenseFacts } from './repo.ts'

const MAX_VALUE_LENGTH = 200
const TAG_PREFIX = 'license:'
/** Characters that show nothing: a licence spelled with one looks like the licence without it. */
const INVISIBLE = /\p{Cf}/gu

/**
 * The licence a repository states: from its card, else from its `license:` tags. A list is joined by ", "; a number,
 * an object or anything else is no statement. Values are recorded as sent, cut to 200 characters.
 */
export function licenseFactsOf(cardData: unknown, tags: readonly string[]): LicenseFacts {
  const card = new Map<string, unknown>(isObject(cardData) ? Object.entries(cardData) : [])
  return {
    license: statementOf(card.get('license')) ?? licenseOfTags(tags),
    license_name: statementOf(card.get('license_name')),
    license_link: statementOf(card.get('license_link')),
  }
}

/** The form in which two licence names are compared: lower case, without white space around it or invisible characters. */
export function comparableLicense(text: string): string {
  return text.replace(INVISIBLE, '').trim().toLowerCase()
}

function statementOf(value: unknown): string | undefined {
  if (typeof value === 'string') return bounded(value)
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return undefined
  return bounded(value.join(', '))
}

function licenseOfTags(tags: readonly string[]): string | undefined {
  const named = tags.filter((tag) => tag.startsWith(TAG_PREFIX)).map((tag) => tag.slice(TAG_PREFIX.length))
  return bounded(named.join(', '))
}

function bounded(text: string): string | undefined {
  if (text === '') return undefined
  // Cut between characters: half a surrogate pair would not survive being written as UTF-8.
  return text.length <= MAX_VALUE_LENGTH ? text : text.slice(0, MAX_VALUE_LENGTH).replace(/[\ud800-\udbff]$/, '')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
