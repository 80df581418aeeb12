import { parseCommitId, parseGitOid, parseHubId, parseSha256, type HubId } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { Listing, RefusedEntry, Sibling } from '../domain/listing.ts'
import { ATTESTORS, type Attestor, type Manifest, type ManifestFile } from '../domain/manifest.ts'
import { GATE_VALUES, parseRepoName, REPO_TYPES, type LicenseFacts, type RepoRef } from '../domain/repo.ts'

/**
 * Readers of the JSON in listings and manifests. A file that an operator edited or a disk damaged must never be taken for
 * a promise or a proof: everything is checked, nothing is repaired, and fields that a later version added are let pass.
 */

type Read<T> = (value: unknown, at: string) => T

/** A value is not what it has to be; `at` says where. Becomes RECORD_INVALID with the file's name. */
class ShapeError extends Error {}

const text: Read<string> = (value, at) => (typeof value === 'string' ? value : bad(at, 'a text'))
const flag: Read<boolean> = (value, at) => (typeof value === 'boolean' ? value : bad(at, 'true or false'))
const size: Read<number> = (value, at) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : bad(at, 'a size in bytes')
const time: Read<string> = (value, at) =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : bad(at, 'an ISO time')
const sha256 = parsed(parseSha256, 'a SHA-256')
const gitOid = parsed(parseGitOid, 'a git oid')

/** @throws ArchiveError RECORD_INVALID naming the file and the field */
export function decodeListing(json: string, shown: string): Listing {
  return decodeFile(json, shown, (value) => {
    const record = object(value, 'the file')
    return {
      format: oneOf(['weightvault-listing/1'] as const)(record.get('format'), 'format'),
      repo: decodeRepo(record.get('repo'), 'repo'),
      commit: parsed(parseCommitId, 'a commit')(record.get('commit'), 'commit'),
      endpoint: text(record.get('endpoint'), 'endpoint'),
      observedAt: time(record.get('observedAt'), 'observedAt'),
      createdAt: optional(text)(record.get('createdAt'), 'createdAt'),
      lastModified: optional(text)(record.get('lastModified'), 'lastModified'),
      gated: oneOf(GATE_VALUES)(record.get('gated'), 'gated'),
      license: decodeLicense(record.get('license'), 'license'),
      tags: list(text)(record.get('tags'), 'tags'),
      cardData: optional(plainObject)(record.get('cardData'), 'cardData'),
      files: list(decodeSibling)(record.get('files'), 'files'),
      refused: list(decodeRefused)(record.get('refused'), 'refused'),
    }
  })
}

/** @throws ArchiveError RECORD_INVALID naming the file and the field */
export function decodeManifest(json: string, shown: string): Manifest {
  return decodeFile(json, shown, (value) => {
    const record = object(value, 'the file')
    const revision = size(record.get('revision'), 'revision')
    return {
      format: oneOf(['weightvault-manifest/1'] as const)(record.get('format'), 'format'),
      repo: decodeRepo(record.get('repo'), 'repo'),
      commit: parsed(parseCommitId, 'a commit')(record.get('commit'), 'commit'),
      revision: revision >= 1 ? revision : bad('revision', 'a number from 1'),
      endpoint: text(record.get('endpoint'), 'endpoint'),
      sealedAt: time(record.get('sealedAt'), 'sealedAt'),
      coverage: oneOf(['all', 'selection'] as const)(record.get('coverage'), 'coverage'),
      license: decodeLicense(record.get('license'), 'license'),
      listingSha256: sha256(record.get('listingSha256'), 'listingSha256'),
      files: list(decodeManifestFile)(record.get('files'), 'files'),
    }
  })
}

function decodeSibling(value: unknown, at: string): Sibling {
  const file = object(value, at)
  return {
    path: text(file.get('path'), `${at}.path`),
    size: size(file.get('size'), `${at}.size`),
    gitOid: optional(gitOid)(file.get('gitOid'), `${at}.gitOid`),
    isLfs: flag(file.get('isLfs'), `${at}.isLfs`),
    lfsOid: optional(sha256)(file.get('lfsOid'), `${at}.lfsOid`),
    xetHash: optional(text)(file.get('xetHash'), `${at}.xetHash`),
  }
}

function decodeRefused(value: unknown, at: string): RefusedEntry {
  const entry = object(value, at)
  return { path: text(entry.get('path'), `${at}.path`), reason: text(entry.get('reason'), `${at}.reason`) }
}

function decodeManifestFile(value: unknown, at: string): ManifestFile {
  const file = object(value, at)
  const held = flag(file.get('held'), `${at}.held`)
  const digest = nullable(sha256)(file.get('sha256'), `${at}.sha256`)
  if (held && digest === null) bad(`${at}.sha256`, 'a SHA-256, for the file is held')
  return {
    path: text(file.get('path'), `${at}.path`),
    size: size(file.get('size'), `${at}.size`),
    sha256: digest,
    gitOid: nullable(gitOid)(file.get('gitOid'), `${at}.gitOid`),
    held,
    reason: text(file.get('reason'), `${at}.reason`),
    attestedBy: list<Attestor>(oneOf(ATTESTORS))(file.get('attestedBy'), `${at}.attestedBy`),
  }
}

function decodeRepo(value: unknown, at: string): RepoRef & { hubId: HubId } {
  const repo = object(value, at)
  return {
    type: oneOf(REPO_TYPES)(repo.get('type'), `${at}.type`),
    name: parsed(parseRepoName, 'owner/name')(repo.get('name'), `${at}.name`),
    hubId: parsed(parseHubId, 'a Hub id')(repo.get('hubId'), `${at}.hubId`),
  }
}

function decodeLicense(value: unknown, at: string): LicenseFacts {
  const license = object(value, at)
  return {
    license: optional(text)(license.get('license'), `${at}.license`),
    license_name: optional(text)(license.get('license_name'), `${at}.license_name`),
    license_link: optional(text)(license.get('license_link'), `${at}.license_link`),
  }
}

function decodeFile<T>(json: string, shown: string, read: (value: unknown) => T): T {
  try {
    return read(JSON.parse(json))
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

function bad(at: string, wanted: string): never {
  throw new ShapeError(`${at} is not ${wanted}`)
}

/** Own fields only. Not a Map: one for each of 20,000 files would be memory that is soon garbage. */
function object(value: unknown, at: string): { get(key: string): unknown } {
  const fields = plainObject(value, at)
  return { get: (key) => (Object.hasOwn(fields, key) ? fields[key] : undefined) }
}

function plainObject(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) bad(at, 'an object')
  return value as Readonly<Record<string, unknown>>
}

function parsed<T>(parse: (value: unknown) => T | undefined, wanted: string): Read<T> {
  return (value, at) => parse(value) ?? bad(at, wanted)
}

function oneOf<T>(allowed: readonly T[]): Read<T> {
  return (value, at) => (allowed.includes(value as T) ? (value as T) : bad(at, `one of ${allowed.join(', ')}`))
}

function optional<T>(read: Read<T>): Read<T | undefined> {
  return (value, at) => (value === undefined ? undefined : read(value, at))
}

function nullable<T>(read: Read<T>): Read<T | null> {
  return (value, at) => (value === null ? null : read(value, at))
}

function list<T>(read: Read<T>): Read<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) bad(at, 'a list')
    return (value as unknown[]).map((item, index) => read(item, `${at}[${index}]`))
  }
}
