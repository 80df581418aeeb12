import type { CommitId, GitOid, HubId, Sha256 } from '../domain/digest.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { LicenseFacts, RepoName, RepoRef, RepoType } from '../domain/repo.ts'

/** Yes or no as SQLite and PostgreSQL both store it. */
export type Flag = 0 | 1

/** Bytes of a hex digest or id. */
export function bytesOf(hex: Sha256 | GitOid | CommitId | HubId): Buffer {
  return Buffer.from(hex, 'hex')
}

export function sha256Of(bytes: Buffer): Sha256 {
  return bytes.toString('hex') as Sha256
}

export function gitOidOf(bytes: Buffer): GitOid {
  return bytes.toString('hex') as GitOid
}

export function commitOf(bytes: Buffer): CommitId {
  return bytes.toString('hex') as CommitId
}

export function hubIdOf(bytes: Buffer): HubId {
  return bytes.toString('hex') as HubId
}

/**
 * A path as bytes that sort by code point. SQL text cannot hold what a path from upstream may hold (NUL, halves of
 * surrogate pairs), and would turn two such names into one. The encoding is UTF-8 in which a half is written as the
 * three bytes of its number (WTF-8), so that no two strings share their bytes.
 */
export function pathKeyOf(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path, 'utf8')
  const parts: Buffer[] = []
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0
    const isHalf = code >= 0xd800 && code <= 0xdfff
    parts.push(
      isHalf
        ? Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)])
        : Buffer.from(character, 'utf8'),
    )
  }
  return Buffer.concat(parts)
}

/** The path of a key made by `pathKeyOf`. */
export function pathOfKey(key: Buffer): string {
  const text = key.toString('utf8')
  if (!text.includes('\ufffd')) return text
  let path = ''
  let start = 0
  for (let at = 0; at < key.length; at += 1) {
    // 0xED 0xA0..0xBF is a surrogate half, which UTF-8 proper does not have.
    if (key[at] !== 0xed || (key[at + 1] ?? 0) < 0xa0) continue
    path += key.toString('utf8', start, at)
    path += String.fromCharCode(0xd000 | (((key[at + 1] ?? 0) & 0x3f) << 6) | ((key[at + 2] ?? 0) & 0x3f))
    at += 2
    start = at + 1
  }
  return path + key.toString('utf8', start)
}

const PACKED_HEX = 0
const PACKED_TEXT = 1

/** Text that is nearly always 64 hex digits, in 33 bytes; any other text as its path key after a mark. */
export function packHash(text: string | undefined): Buffer | null {
  if (text === undefined) return null
  if (/^[0-9a-f]{64}$/.test(text)) return Buffer.concat([Buffer.from([PACKED_HEX]), Buffer.from(text, 'hex')])
  return Buffer.concat([Buffer.from([PACKED_TEXT]), pathKeyOf(text)])
}

export function unpackHash(bytes: Buffer | null): string | undefined {
  if (bytes === null) return undefined
  return bytes[0] === PACKED_HEX ? bytes.toString('hex', 1) : pathOfKey(bytes.subarray(1))
}

/** JSON text of a value; SQL null for undefined. JSON escapes what SQL text cannot hold. */
export function toJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value)
}

export function fromJson(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text)
}

export function packLicense(facts: LicenseFacts): string {
  return JSON.stringify([facts.license ?? null, facts.license_name ?? null, facts.license_link ?? null])
}

export function unpackLicense(text: string): LicenseFacts {
  const [license, name, link] = JSON.parse(text) as (string | null)[]
  return { license: license ?? undefined, license_name: name ?? undefined, license_link: link ?? undefined }
}

export function refOf(row: { type: string; name: string }): RepoRef {
  return { type: row.type as RepoType, name: row.name as RepoName }
}

/** The key under which names are compared: the Hub ignores letter case. Names are ASCII. */
export function nameKeyOf(name: string): string {
  return name.toLowerCase()
}

/** The content key of a job. A digest of 32 bytes is a SHA-256, one of 20 a git oid. */
export function contentKeyOfJob(row: { digest: Buffer; size: number }): ContentKey {
  if (row.digest.length === 32) return `sha256-${sha256Of(row.digest)}`
  return `git-${gitOidOf(row.digest)}-${row.size}`
}

/** The digest inside a content key, as a job stores it. */
export function digestOfKey(key: ContentKey): Buffer {
  return Buffer.from(key.split('-')[1] ?? '', 'hex')
}
