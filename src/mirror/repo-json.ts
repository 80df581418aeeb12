import type { RepoRow } from '../archive-rows.ts'
import type { RepoRef } from '../domain/repo.ts'
import { splitRepoName } from '../domain/repo.ts'
import type { KnownRepo } from '../watch-rows.ts'
import type { SnapshotView, ViewFile } from './snapshot-view.ts'

/** Card and dates of a commit, as archived. */
export type CardOf = Pick<
  SnapshotView,
  'commit' | 'hubId' | 'gated' | 'createdAt' | 'lastModified' | 'tags' | 'cardData'
>

/** The fields that are the same in lists and in the info of one repository. What we do not know is left out, or 0. */
export function repoFields(ref: RepoRef, card: CardOf): Record<string, unknown> {
  const text = (key: string): string | undefined => {
    const value = card.cardData?.[key]
    return typeof value === 'string' ? value : undefined
  }
  return {
    _id: card.hubId,
    id: ref.name,
    ...(ref.type === 'model' ? { modelId: ref.name } : {}),
    author: splitRepoName(ref.name).owner,
    sha: card.commit,
    lastModified: card.lastModified ?? card.createdAt,
    createdAt: card.createdAt,
    private: false,
    gated: card.gated ?? false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: card.tags,
    ...(ref.type === 'model' ? { pipeline_tag: text('pipeline_tag'), library_name: text('library_name') } : {}),
    ...(ref.type === 'space' ? { sdk: text('sdk') } : {}),
    cardData: card.cardData,
  }
}

/** What is known of the repository today, apart from what was archived: never mixed with the fields above. */
export function upstreamToday(row: RepoRow & { readonly known: KnownRepo | undefined }): Record<string, unknown> {
  return {
    upstream: row.upstream,
    upstreamHead: row.head,
    upstreamGated: row.known?.gated,
    upstreamLicense: row.license,
    lastSeenAt: row.lastSeenAt,
  }
}

/** The `siblings` of a commit. */
export function siblingsJson(files: Iterable<ViewFile>, withBlobs: boolean): Record<string, unknown>[] {
  return Array.from(files, (file) =>
    withBlobs
      ? { rfilename: file.path, size: file.size, blobId: file.gitOid, ...lfsJson(file, 'sha256') }
      : { rfilename: file.path },
  )
}

/** One file of a tree; `xetHash` is never told, or clients would go to a service that we are not. */
export function treeFileJson(file: ViewFile): Record<string, unknown> {
  return { type: 'file', oid: file.gitOid, size: file.size, ...lfsJson(file, 'oid'), path: file.path }
}

/** The digest has one name in trees and another in siblings. Where the Hub withheld it there is nothing to tell. */
function lfsJson(file: ViewFile, digestKey: 'oid' | 'sha256'): { lfs?: Record<string, unknown> } {
  if (!file.isLfs || file.sha256 === undefined) return {}
  const pointerSize = Buffer.byteLength(lfsPointer(file.sha256, file.size))
  return { lfs: { [digestKey]: file.sha256, size: file.size, pointerSize } }
}

/** The text that git stores for an LFS file. */
export function lfsPointer(sha256: string, size: number): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${size}\n`
}

/** Keeps what was asked for. */
export function pickFields(
  fields: Record<string, unknown>,
  expand: ReadonlySet<string> | undefined,
): Record<string, unknown> {
  if (expand === undefined) return fields
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key === '_id' || key === 'id' || expand.has(key)))
}
