import { licenseWordsOf, type LicenseWords } from './license-words.ts'

/** One known licence text: enough to know it again, not the text itself. */
export interface LicenseFingerprint {
  /** SPDX ids, or `LicenseRef-…` for what SPDX does not list. Several where licences share one text. */
  readonly ids: readonly string[]
  readonly name: string
  /** Number of words, and SHA-256 of the words with one space between. */
  readonly words: number
  readonly sha256: string
  /** The smallest hashes of its word shingles, rising. */
  readonly sketch: readonly number[]
}

/** The known licences, and how texts are hashed. */
export interface LicenseBook {
  readonly fingerprints: readonly LicenseFingerprint[]
  /** Lower-case hex SHA-256 of the text's UTF-8. */
  sha256Of(text: string): string
}

/**
 * What a licence text is. `exact`: a known licence, but for what `licenseWordsOf` leaves out. `altered`: most of a known
 * one, with changes, so it is another licence. `unknown`: no known one. `unread`: too long, or no text; nothing is
 * concluded.
 */
export type LicenseMatch =
  | { readonly kind: 'exact'; readonly ids: readonly string[] }
  | { readonly kind: 'altered'; readonly ids: readonly string[]; readonly similarity: number }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unread' }

/** A licence text that was read: what it is, and the identity of its words. */
export interface ReadLicense {
  readonly match: LicenseMatch
  /** SHA-256 of the words; equal for texts that differ only in form. Undefined for a text that was not read. */
  readonly wordsSha256: string | undefined
}

const SHINGLE_WORDS = 5
/** Hashes kept of a text: enough to tell alterations from other licences, few enough to ship hundreds of them. */
export const SKETCH_SIZE = 64
/** Several times the longest known licence: with so much besides, a text is no version of one. */
const MAX_SKETCHED_WORDS = 40_000
/** Below this share of common shingles two texts are not called versions of each other. */
const MIN_SIMILARITY = 0.5

/** Reads and matches one text. Never throws; linear in the text's length. */
export function matchLicense(text: string, book: LicenseBook): ReadLicense {
  const words = licenseWordsOf(text)
  if (words === undefined) return { match: { kind: 'unread' }, wordsSha256: undefined }
  const wordsSha256 = book.sha256Of(words.join(' '))
  const exact = book.fingerprints.filter((known) => known.words === words.length && known.sha256 === wordsSha256)
  if (exact.length > 0) {
    const ids = [...new Set(exact.flatMap((known) => known.ids))]
    return { match: { kind: 'exact', ids }, wordsSha256 }
  }
  const near = words.length > MAX_SKETCHED_WORDS ? undefined : closest(sketchOf(words), book)
  return { match: near ?? { kind: 'unknown' }, wordsSha256 }
}

function closest(sketch: readonly number[], book: LicenseBook): LicenseMatch | undefined {
  let best: LicenseFingerprint | undefined
  let similarity = 0
  for (const known of book.fingerprints) {
    const found = similarityOf(sketch, known.sketch)
    if (found <= similarity) continue
    best = known
    similarity = found
  }
  if (best === undefined || similarity < MIN_SIMILARITY) return undefined
  return { kind: 'altered', ids: best.ids, similarity: Math.round(similarity * 100) / 100 }
}

/** The smallest distinct hashes of every run of five words, rising. */
export function sketchOf(words: LicenseWords): number[] {
  const hashes = words.map(hashOfWord)
  const distinct = new Set<number>()
  for (let at = 0; at + SHINGLE_WORDS <= hashes.length; at += 1) {
    let hash = 0
    for (let offset = 0; offset < SHINGLE_WORDS; offset += 1) hash = mix(hash, hashes[at + offset] ?? 0)
    distinct.add(hash >>> 0)
  }
  return [...distinct].sort((a, b) => a - b).slice(0, SKETCH_SIZE)
}

/** Share of common shingles (Jaccard), estimated from the smallest hashes of both. */
function similarityOf(a: readonly number[], b: readonly number[]): number {
  const inBoth = new Set(b)
  const union = [...new Set([...a, ...b])].sort((x, y) => x - y).slice(0, SKETCH_SIZE)
  if (union.length === 0) return 0
  const own = new Set(a)
  return union.filter((hash) => own.has(hash) && inBoth.has(hash)).length / union.length
}

/** FNV-1a over UTF-16 units. */
function hashOfWord(word: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < word.length; at += 1) hash = Math.imul(hash ^ word.charCodeAt(at), 0x01000193)
  return hash
}

function mix(hash: number, next: number): number {
  let mixed = Math.imul(hash ^ next, 0x9e3779b1)
  mixed ^= mixed >>> 15
  mixed = Math.imul(mixed, 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}
