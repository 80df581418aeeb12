import { decodeObject, decodeSize, type JsonObject } from '../domain/decode.ts'
import { type GitOid, parseGitOid, parseSha256, type Sha256 } from '../domain/digest.ts'
import { judgeName } from '../domain/file-name.ts'
import type { RefusedEntry, Sibling } from '../domain/listing.ts'

const MAX_PATH_LENGTH = 16_384
const MAX_SHOWN_PATH = 500

/** One entry of a tree: a file, a refused entry, or a folder (which says nothing the files do not say). */
export type TreeEntry =
  | { readonly kind: 'file'; readonly file: Sibling }
  | { readonly kind: 'refused'; readonly entry: RefusedEntry }
  | { readonly kind: 'folder' }

/** Checks one entry of `/api/{type}s/{id}/tree/{commit}?recursive=true`, field by field. */
export function decodeTreeEntry(value: unknown): TreeEntry {
  const entry = decodeObject(value)
  if (entry === undefined) return refused('', 'the entry is not an object')
  const path = entry['path']
  if (typeof path !== 'string') return refused('', 'the entry has no path')
  if (path.length > MAX_PATH_LENGTH) return refused(path, `the path is longer than ${MAX_PATH_LENGTH} characters`)
  if (entry['type'] === 'directory') return { kind: 'folder' }
  if (entry['type'] !== 'file') return refused(path, `the entry is not a file but ${describeType(entry['type'])}`)
  const verdict = judgeName(path)
  if (verdict.kind === 'refuse') return refused(path, verdict.reason)
  const file = readFile(path, entry)
  return typeof file === 'string' ? refused(path, file) : { kind: 'file', file }
}

/** Whether two entries promise the same bytes under the same path. */
export function isSameSibling(one: Sibling, other: Sibling): boolean {
  return (
    one.path === other.path &&
    one.size === other.size &&
    one.gitOid === other.gitOid &&
    one.isLfs === other.isLfs &&
    one.lfsOid === other.lfsOid
  )
}

function readFile(path: string, entry: JsonObject): Sibling | string {
  const size = decodeSize(entry['size'])
  if (size === undefined) return 'the size is not an exact number of bytes'
  const gitOid = readDigest(entry['oid'], 40, parseGitOid)
  if (gitOid === 'invalid') return 'the oid is not 40 lower-case hex digits'
  const lfs = readLfs(entry['lfs'], size)
  if (typeof lfs === 'string') return lfs
  return { path, size, gitOid, isLfs: lfs.isLfs, lfsOid: lfs.oid, xetHash: readXetHash(entry['xetHash']) }
}

function readLfs(value: unknown, size: number): { isLfs: boolean; oid: Sha256 | undefined } | string {
  if (value === undefined || value === null) return { isLfs: false, oid: undefined }
  const lfs = decodeObject(value)
  if (lfs === undefined) return 'the LFS facts are not an object'
  const oid = readDigest(lfs['oid'], 64, parseSha256)
  if (oid === 'invalid') return 'the LFS oid is not 64 lower-case hex digits'
  if (decodeSize(lfs['size']) !== size) return 'the LFS size differs from the size'
  return { isLfs: true, oid }
}

/** A digest may be withheld (absent, or asterisks in a gated repository): unknown. Malformed is another thing. */
function readDigest<T extends GitOid | Sha256>(
  value: unknown,
  digits: number,
  parse: (text: unknown) => T | undefined,
): T | undefined | 'invalid' {
  if (value === undefined || value === null || value === '*'.repeat(digits)) return undefined
  return parse(value) ?? 'invalid'
}

function readXetHash(value: unknown): string | undefined {
  return parseSha256(value)
}

function describeType(type: unknown): string {
  return typeof type === 'string' ? `"${type.slice(0, 40)}"` : 'of an unknown kind'
}

function refused(path: string, reason: string): TreeEntry {
  return { kind: 'refused', entry: { path: path.slice(0, MAX_SHOWN_PATH), reason } }
}
