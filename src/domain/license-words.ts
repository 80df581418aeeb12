/** Words of a licence text in the order they stand, in the form in which two texts are compared. */
export type LicenseWords = readonly string[]

/** Longest text that is compared, in UTF-16 units: twenty times the longest licence known. */
export const MAX_LICENSE_CHARACTERS = 1024 * 1024

const WORD = /[\p{L}\p{N}]+/gu
/** Soft hyphens, zero-width spaces and the like: they would cut a word in two without showing it. */
const INVISIBLE = /\p{Cf}/gu
/** Spellings that count as one in a licence. */
const SAME_WORDS = new Map([
  ['https', 'http'],
  ['licence', 'license'],
  ['licences', 'licenses'],
  ['licenced', 'licensed'],
])

/** `Copyright (c) Owner`, `Copyright 2024 Owner`, `© 2024 Owner`, `Copyright [yyyy] [name of copyright owner]`. */
const COPYRIGHT_LINE =
  /^[^\p{L}\p{N}(©]*(?:copyright[\s,:]*(?:\(c\)|©|(?:19|20)\d\d|[[<{])|(?:\(c\)|©)\s*(?:copyright|(?:19|20)\d\d|[[<{]))/iu
const RIGHTS_LINE = /^[^\p{L}\p{N}]*all rights reserved[^\p{L}\p{N}]*$/iu
/** `1.`, `a)`, `(iv)`, `-` at the start of a line. */
const LIST_MARKER = /^[ \t]*(?:\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]|[-*•])(?=[ \t])/iu
const MAX_COPYRIGHT_WORDS = 24
const MAX_TITLE_WORDS = 8
/** A line with one of these says more than who owns what, so it is part of the licence. */
const TERMS = new Set(
  (
    'must shall may can cannot will not no non only except without unless if provided subject under condition conditions ' +
    'grant granted grants permission permitted prohibited forbidden use uses used commercial noncommercial research ' +
    'purpose purposes distribute redistribute modify copy sell sublicense apply applies term terms agreement'
  ).split(' '),
)

/**
 * The words of a licence text without what differs between copies of one licence: letter case, white space, punctuation,
 * line breaks, a title, list markers, copyright lines and their placeholders. Linear in the length of the text.
 * Undefined for a text that is too long to be a licence.
 *
 * Only a line at the start of a paragraph that names an owner, and says nothing else, is left out as a copyright line: a
 * clause hidden behind the word "Copyright" stays in.
 */
export function licenseWordsOf(text: string): LicenseWords | undefined {
  if (text.length > MAX_LICENSE_CHARACTERS) return undefined
  const words: string[] = []
  for (const paragraph of paragraphsOf(text.replace(INVISIBLE, ''))) {
    for (const line of withoutOwners(paragraph)) {
      const said = wordsOfLine(line.replace(LIST_MARKER, ''))
      if (words.length === 0 && isTitle(said)) continue
      for (const word of said) words.push(word)
    }
  }
  return words
}

/** The runs of lines between blank ones. */
function* paragraphsOf(text: string): Generator<string[]> {
  let lines: string[] = []
  for (const line of text.split(/\r\n|[\n\r\f\v\u0085\u2028\u2029]/)) {
    if (line.trim() !== '') lines.push(line)
    else if (lines.length > 0) {
      yield lines
      lines = []
    }
  }
  if (lines.length > 0) yield lines
}

/** The lines of a paragraph after those that only name owners. */
function withoutOwners(lines: readonly string[]): readonly string[] {
  const first = lines.findIndex((line) => !isOwnerLine(line))
  return first < 0 ? [] : lines.slice(first)
}

function isOwnerLine(line: string): boolean {
  if (line.length > 400) return false
  if (RIGHTS_LINE.test(line)) return true
  if (!COPYRIGHT_LINE.test(line)) return false
  const words = wordsOfLine(line)
  return words.length <= MAX_COPYRIGHT_WORDS && !words.some((word) => TERMS.has(word))
}

function isTitle(words: LicenseWords): boolean {
  const isNamed = words.includes('license') || words.includes('licenses')
  return words.length <= MAX_TITLE_WORDS && isNamed && !words.some((word) => TERMS.has(word) && word !== 'agreement')
}

function wordsOfLine(line: string): string[] {
  const words = line.toLowerCase().match(WORD) ?? []
  return words.map((word) => SAME_WORDS.get(word) ?? word)
}
