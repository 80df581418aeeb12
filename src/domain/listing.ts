import type { CommitId, Digests, GitOid, HubId, Sha256 } from './digest.ts'
import type { Gate, LicenseFacts, RepoRef } from './repo.ts'

/** A file of a repo at a commit, as the Hub promises it. */
export interface Sibling {
  /** As sent, byte for byte; may be hostile. Only `domain/file-name.ts` decides whether it may become a file name. */
  readonly path: string
  /** Exact bytes of the content (not of the LFS pointer). */
  readonly size: number
  /** Git blob id: of the content, or of the pointer for an LFS file. */
  readonly gitOid: GitOid | undefined
  readonly isLfs: boolean
  /** SHA-256 of the content; undefined for a small file, and for an LFS file whose digest the Hub withholds. */
  readonly lfsOid: Sha256 | undefined
  /** Xet's tree hash: recorded, never used to verify. */
  readonly xetHash: string | undefined
}

/** An entry of a tree that could not be taken at its word. Kept in the listing, never made smaller by silence. */
export interface RefusedEntry {
  readonly path: string
  readonly reason: string
}

/** What the Hub promised for a commit. Written once, before any byte is fetched. */
export interface Listing {
  readonly format: 'weightvault-listing/1'
  readonly repo: RepoRef & { readonly hubId: HubId }
  readonly commit: CommitId
  /** Origin and path of the Hub that said so. */
  readonly endpoint: string
  /** ISO time at which the tree was read. */
  readonly observedAt: string
  readonly createdAt: string | undefined
  readonly lastModified: string | undefined
  readonly gated: Gate
  readonly license: LicenseFacts
  readonly tags: readonly string[]
  readonly cardData: Readonly<Record<string, unknown>> | undefined
  readonly files: readonly Sibling[]
  readonly refused: readonly RefusedEntry[]
}

/** A listing without its files, which may be tens of thousands. */
export type ListingHead = Omit<Listing, 'files'>

/** The promise of a listing as one canonical text: equal texts promise the same bytes under the same names. */
export function promiseText(listing: Pick<Listing, 'files' | 'refused'>): string {
  return promisesOf(listing)
    .map(([, line]) => line)
    .sort()
    .join('\n')
}

/** Paths of which two listings of one commit promise different things, or which only one of them has; sorted. */
export function differingPaths(
  first: Pick<Listing, 'files' | 'refused'>,
  next: Pick<Listing, 'files' | 'refused'>,
): string[] {
  const [before, after] = [new Map(promisesOf(first)), new Map(promisesOf(next))]
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path)).sort()
}

function promisesOf(listing: Pick<Listing, 'files' | 'refused'>): [path: string, line: string][] {
  return [
    ...listing.files.map(({ path, size, gitOid, isLfs, lfsOid }): [string, string] => [
      path,
      JSON.stringify([path, size, gitOid ?? null, isLfs, lfsOid ?? null]),
    ]),
    ...listing.refused.map(({ path, reason }): [string, string] => [path, JSON.stringify([path, 'refused', reason])]),
  ]
}

/** Whether a promise says all that another said, and digests besides that were withheld there. */
export function onlyAddsDigests(
  first: Pick<Listing, 'files' | 'refused'>,
  next: Pick<Listing, 'files' | 'refused'>,
): boolean {
  const known = new Map(first.files.map((file) => [file.path, file]))
  const files = next.files.map((file) => {
    const before = known.get(file.path)
    return before !== undefined && before.lfsOid === undefined ? { ...file, lfsOid: undefined } : file
  })
  return promiseText({ files, refused: next.refused }) === promiseText(first)
}

const FILES_BEGIN = '\n"files":[\n'
const FILES_END = '\n],\n"refused":['

/** The text of a listing file: JSON, one file a line, so that two listings can be compared with `diff`. */
export function printListing(listing: Listing): string {
  const { files, refused, ...head } = listing
  const headText = JSON.stringify(head).slice(0, -1)
  const fileLines = files.map((file) => JSON.stringify(file)).join(',\n')
  const refusedLines = refused.map((entry) => JSON.stringify(entry)).join(',\n')
  return `${headText},${FILES_BEGIN}${fileLines}${FILES_END}${refusedLines}]}\n`
}

/**
 * The text of a listing as `printListing` lays it out, cut into the JSON of its head and that of each file; undefined for
 * any other layout. Nothing of it is checked.
 */
export function cutListing(text: string): { readonly head: string; readonly files: Iterable<string> } | undefined {
  const begin = text.indexOf(FILES_BEGIN)
  const end = begin === -1 ? -1 : text.indexOf(FILES_END, begin + FILES_BEGIN.length - 1)
  if (end === -1) return undefined
  const head = `${text.slice(0, begin)}"files":[],${text.slice(end + '\n],'.length)}`
  return { head, files: linesBetween(text, begin + FILES_BEGIN.length, end) }
}

function* linesBetween(text: string, start: number, end: number): Generator<string> {
  for (let at = start; at < end;) {
    const seam = text.indexOf(',\n', at)
    const lineEnd = seam === -1 || seam > end ? end : seam
    yield text.slice(at, lineEnd)
    at = lineEnd + ',\n'.length
  }
}

/** Whether a commit was listed after the fact, for its bytes alone (a rescue): it was no head then, and of its card nothing is known. */
export function isOldCommit(listing: Pick<Listing, 'lastModified' | 'tags' | 'cardData'>): boolean {
  return listing.lastModified === undefined && listing.tags.length === 0 && listing.cardData === undefined
}

/** Key of the bytes a sibling needs: siblings with equal keys have equal content and are fetched once. */
export type ContentKey = `sha256-${Sha256}` | `git-${GitOid}-${number}`

/** The content key of a sibling, or undefined where the Hub promised no usable digest. */
export function contentKeyOf(file: Pick<Sibling, 'isLfs' | 'lfsOid' | 'gitOid' | 'size'>): ContentKey | undefined {
  if (file.isLfs) return file.lfsOid === undefined ? undefined : `sha256-${file.lfsOid}`
  return file.gitOid === undefined ? undefined : `git-${file.gitOid}-${file.size}`
}

/** Whether these are the bytes that the key stands for. */
export function isContentOf(key: ContentKey, digests: Digests): boolean {
  return key === `sha256-${digests.sha256}` || key === `git-${digests.gitOid}-${digests.size}`
}
