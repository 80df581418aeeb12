import { decodeObject } from './decode.ts'
import type { Sha256 } from './digest.ts'
import { licenseFormOf, type LicenseForm, type ParseSpdx } from './license-form.ts'
import type { LicenseMatch } from './license-match.ts'
import type { Listing } from './listing.ts'
import { parseRepoName, type LicenseFacts, type RepoName } from './repo.ts'

/** `license` is compared with the card; a `notice` only recorded; the `card` is README.md with its front matter. */
export type LicenseRole = 'license' | 'notice' | 'card'

/** What a listing says of the licence of one commit. All of it can be made again from the listing. */
export interface LicenseEntry {
  readonly stated: LicenseFacts
  /** What the tags `license:…` name. */
  readonly tags: readonly string[]
  /** The stated licence in SPDX form; undefined when none is stated. */
  readonly form: LicenseForm | undefined
  /** Repositories the card names as base model. */
  readonly baseModels: readonly RepoName[]
  /** What the gate asks to agree to, as JSON text of the card's `extra_gated_…` fields; undefined without any. */
  readonly gateTerms: string | undefined
  /** Files whose bytes say more. */
  readonly files: readonly { readonly path: string; readonly role: LicenseRole }[]
}

/** What a licence file or a card says, once its bytes are there. */
export type LicenseReading =
  | { readonly role: 'license' | 'notice'; readonly match: LicenseMatch; readonly wordsSha256: string | undefined }
  | { readonly role: 'card'; readonly stated: LicenseFacts | undefined }

/** One licence file of a commit. */
export interface LicenseFile {
  readonly path: string
  readonly role: LicenseRole
  readonly size: number
  /** Undefined while its bytes are not held. */
  readonly sha256: Sha256 | undefined
  readonly reading: LicenseReading | undefined
}

const LICENSE_FILE = /^(?:(un)?licen[cs]es?|copying(?:\.lesser)?)(?:[-_. ][^/]{0,60})?$/i
const NOTICE_FILE = /^notices?(?:[-_. ][^/]{0,60})?$/i
const NOT_TEXT = /\.(?:py|js|ts|json|jsonl|png|jpe?g|gif|svg|bin|safetensors|gguf|pdf|zip)$/i
const MAX_FILES = 100
const MAX_BASE_MODELS = 20
const MAX_GATE_CHARACTERS = 16_384
const TAG_PREFIX = 'license:'
const MAX_TAGS = 20
const MAX_TAG_CHARACTERS = 200

/** What this file can say about the licence; undefined for any other file. */
export function licenseRoleOf(path: string): LicenseRole | undefined {
  if (path === 'README.md') return 'card'
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (NOT_TEXT.test(name)) return undefined
  if (LICENSE_FILE.test(name)) return 'license'
  return NOTICE_FILE.test(name) ? 'notice' : undefined
}

/** What a listing says of the licence. Bounded whatever the card holds. */
export function licenseEntryOf(
  listing: Pick<Listing, 'license' | 'tags' | 'cardData' | 'files'>,
  parseSpdx: ParseSpdx,
): LicenseEntry {
  const files = listing.files.flatMap(({ path }) => {
    const role = licenseRoleOf(path)
    return role === undefined ? [] : [{ path, role }]
  })
  return {
    stated: listing.license,
    tags: listing.tags
      .filter((tag) => tag.startsWith(TAG_PREFIX))
      .slice(0, MAX_TAGS)
      .map((tag) => tag.slice(TAG_PREFIX.length, TAG_PREFIX.length + MAX_TAG_CHARACTERS).toWellFormed()),
    form: licenseFormOf(listing.license, parseSpdx),
    baseModels: baseModelsOf(listing.cardData),
    gateTerms: gateTermsOf(listing.cardData),
    files: files.sort((a, b) => depth(a.path) - depth(b.path)).slice(0, MAX_FILES),
  }
}

function depth(path: string): number {
  return path.split('/').length
}

function baseModelsOf(cardData: unknown): RepoName[] {
  const stated = decodeObject(cardData)?.['base_model']
  const names = (Array.isArray(stated) ? stated : [stated]).slice(0, MAX_BASE_MODELS).map(parseRepoName)
  return [...new Set(names.filter((name) => name !== undefined))]
}

function gateTermsOf(cardData: unknown): string | undefined {
  const fields = Object.entries(decodeObject(cardData) ?? {}).filter(([key]) => key.startsWith('extra_gated_'))
  if (fields.length === 0) return undefined
  const text = JSON.stringify(Object.fromEntries(fields))
  // Cut text is no JSON any more; it is only ever compared and shown.
  return text.length <= MAX_GATE_CHARACTERS ? text : text.slice(0, MAX_GATE_CHARACTERS).toWellFormed()
}
