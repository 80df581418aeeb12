import { parseCommitId, parseGitOid, parseHubId, parseSha256, type HubId } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { cutListing, type Listing, type ListingHead, type RefusedEntry, type Sibling } from '../domain/listing.ts'
import { ATTESTORS, type Attestor, type Manifest, type ManifestFile } from '../domain/manifest.ts'
import { GATE_VALUES, parseRepoName, REPO_TYPES, type LicenseFacts, type RepoRef } from '../domain/repo.ts'

/**
 * Readers of the JSON in listings and manifests. A file that an operator edited or a disk damaged must never be taken for
 * a promise or a proof: everything is checked, nothing is repaired, and fields that a later version added are let pass.
 */

type Read<T> = (value: unknown) => T
type Fields = Readonly<Record<string, unknown>>

/** A value is not what it has to be. Becomes RECORD_INVALID with the file's name. */
class ShapeError extends Error {
  readonly #wanted: string
  readonly #at: string

  constructor(wanted: string, at = '') {
    super(`${at === '' ? 'the file' : at} is not ${wanted}`)
    this.#wanted = wanted
    this.#at = at
  }

  /** The same, seen from what contains the value. */
  inside(name: string): ShapeError {
    const isIndex = this.#at === '' || this.#at.startsWith('[')
    return new ShapeError(this.#wanted, `${name}${isIndex ? '' : '.'}${this.#at}`)
  }
}

const text: Read<string> = (value) => (typeof value === 'string' ? value : bad('a text'))
const flag: Read<boolean> = (value) => (typeof value === 'boolean' ? value : bad('true or false'))
const size: Read<number> = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : bad('a size in bytes')
const time: Read<string> = (value) =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : bad('an ISO time')
const revisionNumber: Read<number> = (value) => (size(value) >= 1 ? size(value) : bad('a number from 1'))
const sha256 = parsed(parseSha256, 'a SHA-256')
const gitOid = parsed(parseGitOid, 'a git oid')
// Made once, not for each of thousands of files.
const perhapsText = optional(text)
const perhapsSha256 = optional(sha256)
const perhapsGitOid = optional(gitOid)
const sha256OrNull = nullable(sha256)
const gitOidOrNull = nullable(gitOid)
const attestors = list<Attestor>(oneOf(ATTESTORS))

/** @throws ArchiveError RECORD_INVALID naming the file and the field */
export function decodeListing(json: string, shown: string): Listing {
  return decodeFile(shown, () => {
    const record = fieldsOf(JSON.parse(json))
    return { ...headOf(record), files: field(record, 'files', list(decodeSibling)) }
  })
}

/**
 * The same without the files: they are checked one by one and let go.
 * @throws ArchiveError RECORD_INVALID naming the file and the field
 */
export function decodeListingHead(json: string, shown: string): ListingHead {
  const pieces = cutListing(json)
  try {
    if (pieces !== undefined) {
      for (const file of pieces.files) decodeSibling(JSON.parse(file))
      return headOf(fieldsOf(JSON.parse(pieces.head)))
    }
  } catch {
    // Damaged, or laid out by somebody else: read as a whole, which also tells the place.
  }
  const { files: _, ...head } = decodeListing(json, shown)
  return head
}

function headOf(record: Fields): ListingHead {
  return {
    format: field(record, 'format', oneOf(['weightvault-listing/1'] as const)),
    repo: field(record, 'repo', decodeRepo),
    commit: field(record, 'commit', parsed(parseCommitId, 'a commit')),
    endpoint: field(record, 'endpoint', text),
    observedAt: field(record, 'observedAt', time),
    createdAt: field(record, 'createdAt', perhapsText),
    lastModified: field(record, 'lastModified', perhapsText),
    gated: field(record, 'gated', oneOf(GATE_VALUES)),
    license: field(record, 'license', decodeLicense),
    tags: field(record, 'tags', list(text)),
    cardData: field(record, 'cardData', optional(fieldsOf)),
    refused: field(record, 'refused', list(decodeRefused)),
  }
}

/** @throws ArchiveError RECORD_INVALID naming the file and the field */
export function decodeManifest(json: string, shown: string): Manifest {
  return decodeFile(shown, () => {
    const record = fieldsOf(JSON.parse(json))
    return {
      format: field(record, 'format', oneOf(['weightvault-manifest/1'] as const)),
      repo: field(record, 'repo', decodeRepo),
      commit: field(record, 'commit', parsed(parseCommitId, 'a commit')),
      revision: field(record, 'revision', revisionNumber),
      endpoint: field(record, 'endpoint', text),
      sealedAt: field(record, 'sealedAt', time),
      coverage: field(record, 'coverage', oneOf(['all', 'selection'] as const)),
      license: field(record, 'license', decodeLicense),
      listingSha256: field(record, 'listingSha256', sha256),
      files: field(record, 'files', list(decodeManifestFile)),
    }
  })
}

function decodeSibling(value: unknown): Sibling {
  const file = fieldsOf(value)
  return {
    path: field(file, 'path', text),
    size: field(file, 'size', size),
    gitOid: field(file, 'gitOid', perhapsGitOid),
    isLfs: field(file, 'isLfs', flag),
    lfsOid: field(file, 'lfsOid', perhapsSha256),
    xetHash: field(file, 'xetHash', perhapsText),
  }
}

function decodeRefused(value: unknown): RefusedEntry {
  const entry = fieldsOf(value)
  return { path: field(entry, 'path', text), reason: field(entry, 'reason', text) }
}

function decodeManifestFile(value: unknown): ManifestFile {
  const file = fieldsOf(value)
  const held = field(file, 'held', flag)
  const digest = field(file, 'sha256', sha256OrNull)
  if (held && digest === null) throw new ShapeError('a SHA-256, for the file is held', 'sha256')
  return {
    path: field(file, 'path', text),
    size: field(file, 'size', size),
    sha256: digest,
    gitOid: field(file, 'gitOid', gitOidOrNull),
    held,
    reason: field(file, 'reason', text),
    attestedBy: field(file, 'attestedBy', attestors),
  }
}

function decodeRepo(value: unknown): RepoRef & { hubId: HubId } {
  const repo = fieldsOf(value)
  return {
    type: field(repo, 'type', oneOf(REPO_TYPES)),
    name: field(repo, 'name', parsed(parseRepoName, 'owner/name')),
    hubId: field(repo, 'hubId', parsed(parseHubId, 'a Hub id')),
  }
}

function decodeLicense(value: unknown): LicenseFacts {
  const license = fieldsOf(value)
  return {
    license: field(license, 'license', perhapsText),
    license_name: field(license, 'license_name', perhapsText),
    license_link: field(license, 'license_link', perhapsText),
  }
}

function decodeFile<T>(shown: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ShapeError) && !(error instanceof SyntaxError)) throw error
    throw recordInvalid(shown, error instanceof ShapeError ? error.message : 'is not JSON', error)
  }
}

/** A record of the archive that cannot be believed. It is left as it is, for a person to judge. */
export function recordInvalid(shown: string, what: string, cause?: unknown): ArchiveError {
  return new ArchiveError('RECORD_INVALID', `${shown}: ${what}`, {
    cause,
    hint: 'The file was left as it is. Restore it from a backup; docs/errors.md says what to do without one.',
    details: { path: shown },
  })
}

function bad(wanted: string): never {
  throw new ShapeError(wanted)
}

/** Own fields only. Where a value was is added to an error on its way up: thousands of others are right. */
function field<T>(fields: Fields, name: string, read: Read<T>): T {
  try {
    return read(Object.hasOwn(fields, name) ? fields[name] : undefined)
  } catch (error) {
    throw error instanceof ShapeError ? error.inside(name) : error
  }
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) bad('an object')
  return value as Fields
}

function parsed<T>(parse: (value: unknown) => T | undefined, wanted: string): Read<T> {
  return (value) => parse(value) ?? bad(wanted)
}

function oneOf<T>(allowed: readonly T[]): Read<T> {
  return (value) => (allowed.includes(value as T) ? (value as T) : bad(`one of ${allowed.join(', ')}`))
}

function optional<T>(read: Read<T>): Read<T | undefined> {
  return (value) => (value === undefined ? undefined : read(value))
}

function nullable<T>(read: Read<T>): Read<T | null> {
  return (value) => (value === null ? null : read(value))
}

/** In place, so that what was parsed is let go item by item. */
function list<T>(read: Read<T>): Read<T[]> {
  return (value) => {
    if (!Array.isArray(value)) bad('a list')
    const items = value as unknown[]
    for (let index = 0; index < items.length; index += 1) {
      try {
        items[index] = read(items[index])
      } catch (error) {
        throw error instanceof ShapeError ? error.inside(`[${index}]`) : error
      }
    }
    return items as T[]
  }
}
