declare const brand: unique symbol

/** SHA-256 of a blob's bytes: 64 lower-case hex digits. */
export type Sha256 = string & { readonly [brand]: 'Sha256' }
/** Git's blob SHA-1, `sha1("blob " + size + "\0" + bytes)`: 40 lower-case hex digits. */
export type GitOid = string & { readonly [brand]: 'GitOid' }
/** Id of a commit: 40 lower-case hex digits. The storage key of a snapshot. */
export type CommitId = string & { readonly [brand]: 'CommitId' }
/** The Hub's permanent id of a repository (`_id`): 24 lower-case hex digits. */
export type HubId = string & { readonly [brand]: 'HubId' }

/** What some bytes are, as hashed here. */
export interface Digests {
  readonly sha256: Sha256
  /** Git blob id of the same bytes; undefined where nobody promises one: content that only LFS can hold. */
  readonly gitOid: GitOid | undefined
  readonly size: number
}

/** Digests of bytes that were hashed both ways. */
export interface WholeDigests extends Digests {
  readonly gitOid: GitOid
}

/** Exactly 64 lower-case hex digits, else undefined. Nothing is trimmed or repaired. */
export function parseSha256(text: unknown): Sha256 | undefined {
  return isHex(text, 64) ? (text as Sha256) : undefined
}

/** Exactly 40 lower-case hex digits, else undefined. */
export function parseGitOid(text: unknown): GitOid | undefined {
  return isHex(text, 40) ? (text as GitOid) : undefined
}

/** Exactly 40 lower-case hex digits, else undefined. */
export function parseCommitId(text: unknown): CommitId | undefined {
  return isHex(text, 40) ? (text as CommitId) : undefined
}

/** Exactly 24 lower-case hex digits, else undefined. */
export function parseHubId(text: unknown): HubId | undefined {
  return isHex(text, 24) ? (text as HubId) : undefined
}

function isHex(text: unknown, digits: number): text is string {
  return typeof text === 'string' && text.length === digits && /^[0-9a-f]+$/.test(text)
}
