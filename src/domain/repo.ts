import type { CommitId, HubId } from './digest.ts'

export const REPO_TYPES = ['model', 'dataset', 'space'] as const
export type RepoType = (typeof REPO_TYPES)[number]

declare const brand: unique symbol
/** `owner/name` as the Hub spells it, safe as two path components on disk. */
export type RepoName = string & { readonly [brand]: 'RepoName' }

/** A repository as a person names it. Its identity on the Hub is `HubId`; the name may change. */
export interface RepoRef {
  readonly type: RepoType
  readonly name: RepoName
}

export const GATE_VALUES = [false, 'auto', 'manual'] as const
export type Gate = (typeof GATE_VALUES)[number]

/** The licence as the card states it, spelled as the API spells it; several licences are joined by ", ". */
export interface LicenseFacts {
  readonly license: string | undefined
  readonly license_name: string | undefined
  readonly license_link: string | undefined
}

/** What one row of a complete listing (or one info answer) says about a repository, checked field by field. */
export interface RepoFacts {
  readonly ref: RepoRef
  readonly hubId: HubId
  /** Head of the default branch; undefined for a repository without any commit. */
  readonly commit: CommitId | undefined
  /** ISO time with milliseconds, or undefined where the Hub gave none that parses. */
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
  readonly gated: Gate
  readonly private: boolean
  readonly disabled: boolean
  readonly tags: readonly string[]
  /** The card's front matter as the API returns it; JSON, bounded in size and depth. */
  readonly cardData: Readonly<Record<string, unknown>> | undefined
  readonly license: LicenseFacts
}

const OWNER_OR_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$/

/**
 * `owner/name` when both parts keep the Hub's rules (letters, digits, `-`, `_`, `.`; at most 96 characters; no `--` or
 * `..`; no trailing `-` or `.`), else undefined. What passes is safe as a folder name.
 */
export function parseRepoName(text: unknown): RepoName | undefined {
  if (typeof text !== 'string' || text.length > 200) return undefined
  const parts = text.split('/')
  if (parts.length !== 2) return undefined
  return parts.every(isOwnerOrName) ? (text as RepoName) : undefined
}

/** Whether the text can be the name of an organisation, a user or a repository on the Hub. */
export function isOwnerOrName(text: string): boolean {
  return OWNER_OR_NAME.test(text) && !text.includes('..') && !text.includes('--') && !/[-.]$/.test(text)
}

/** Splits `owner/name`. */
export function splitRepoName(name: RepoName): { owner: string; repo: string } {
  const slash = name.indexOf('/')
  return { owner: name.slice(0, slash), repo: name.slice(slash + 1) }
}

/** What a person typed: a repository and, after `@` or in a URL, a revision. */
export interface RepoArgument {
  readonly ref: RepoRef
  readonly revision: string | undefined
}

/**
 * Reads `Qwen/Qwen3.5-4B`, `Qwen/Qwen3.5-4B@<revision>`, `hf://Qwen/…`, `datasets/Qwen/…` or a full Hub URL
 * (`https://…/Qwen/Qwen3.5-4B/tree/main`); undefined when it is none of these.
 */
export function parseRepoArgument(text: string): RepoArgument | undefined {
  if (text.length > 1000) return undefined
  const path = stripScheme(text.trim())
  if (path === undefined) return undefined
  const parts = path.split('/').filter((part) => part !== '')
  const type = typeOfPrefix(parts[0])
  if (type !== 'model') parts.shift()
  const [owner, repoAndRevision, keyword, ...rest] = parts
  if (owner === undefined || repoAndRevision === undefined) return undefined
  const at = repoAndRevision.indexOf('@')
  const repo = at < 0 ? repoAndRevision : repoAndRevision.slice(0, at)
  const name = parseRepoName(`${owner}/${repo}`)
  if (name === undefined) return undefined
  if (at >= 0) {
    const revision = [repoAndRevision.slice(at + 1), ...(keyword === undefined ? [] : [keyword]), ...rest].join('/')
    return revision === '' ? undefined : { ref: { type, name }, revision }
  }
  if (keyword === undefined) return { ref: { type, name }, revision: undefined }
  if (!['tree', 'blob', 'resolve', 'commit', 'commits'].includes(keyword)) return undefined
  return { ref: { type, name }, revision: rest[0] }
}

function stripScheme(text: string): string | undefined {
  if (text.startsWith('hf://')) return text.slice('hf://'.length)
  if (!text.includes('://')) return text
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return undefined
  return url.pathname
}

function typeOfPrefix(part: string | undefined): RepoType {
  if (part === 'datasets') return 'dataset'
  if (part === 'spaces') return 'space'
  return 'model'
}

/** How a repository is written for people: `Qwen/Qwen3.5-4B`, `datasets/Qwen/…`. */
export function printRepo(ref: RepoRef): string {
  return ref.type === 'model' ? ref.name : `${ref.type}s/${ref.name}`
}

/** The licence as one word for lists and filters: the card's own name where `license` is only "other". */
export function effectiveLicense(license: LicenseFacts): string | undefined {
  if (license.license === 'other' && license.license_name !== undefined) return license.license_name
  return license.license ?? license.license_name
}
