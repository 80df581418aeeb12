import { join, relative, sep } from 'node:path'
import { parseCommitId, parseSha256, type CommitId, type Sha256 } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import { parseRepoName, splitRepoName, type RepoName } from '../domain/repo.ts'

export const MARKER_NAME = 'weightvault.json'

/** Folders of an archive, parents first. */
export const ARCHIVE_FOLDERS = ['blobs', 'blobs/sha256', 'listings', 'manifests', 'partial', 'quarantine', 'events']

const CONTENT_KEY = /^(sha256-[0-9a-f]{64}|git-[0-9a-f]{40}-(0|[1-9][0-9]{0,15}))$/

/**
 * Where everything is in an archive. Pure. Names are made of nothing but checked digests, commits and repo names, so no
 * text from upstream can leave its folder; a value that only claims its type is a bug and throws.
 */
export class Layout {
  readonly root: string
  readonly marker: string
  readonly blobs: string
  readonly checks: string
  readonly partial: string
  readonly quarantine: string
  readonly listings: string
  readonly manifests: string
  readonly events: string
  readonly catalog: string
  /** Room that is given up when the disk is full. */
  readonly ballast: string

  constructor(root: string) {
    this.root = root
    this.marker = join(root, MARKER_NAME)
    this.blobs = join(root, 'blobs', 'sha256')
    this.checks = join(root, 'checks')
    this.partial = join(root, 'partial')
    this.quarantine = join(root, 'quarantine')
    this.listings = join(root, 'listings')
    this.manifests = join(root, 'manifests')
    this.events = join(root, 'events')
    this.catalog = join(root, 'catalog.db')
    this.ballast = join(root, 'ballast.bin')
  }

  /** How a path is named to people: relative to the archive. */
  shown(path: string): string {
    return relative(this.root, path)
  }

  blobFolderName(sha256: Sha256): string {
    invariant(parseSha256(sha256) !== undefined, `${sha256} is a SHA-256`)
    return sha256.slice(0, 2)
  }

  /** Where a blob is or will be. */
  blobFolder(sha256: Sha256): string {
    return `${this.blobs}${sep}${this.blobFolderName(sha256)}`
  }

  blob(sha256: Sha256): string {
    return `${this.blobFolder(sha256)}${sep}${sha256}`
  }

  blockChecks(sha256: Sha256): string {
    return join(this.checks, this.blobFolderName(sha256), `${sha256}.crc32`)
  }

  /** Where a check file is written before it gets its name: among what a restart clears away. */
  unnamedChecks(sha256: Sha256): string {
    return join(this.partial, `${sha256}.crc32.new`)
  }

  partialFile(key: ContentKey): string {
    return `${this.partial}${sep}${checkedKey(key)}.part`
  }

  pieceJournal(key: ContentKey): string {
    return join(this.partial, `${checkedKey(key)}.pieces`)
  }

  /** Where a journal is written before it gets its name. */
  newPieceJournal(key: ContentKey): string {
    return `${this.pieceJournal(key)}.new`
  }

  /** Folder names below `listings` or `manifests` of a repo. */
  repoFolders(name: RepoName): [string, string] {
    invariant(parseRepoName(name) !== undefined, `${name} is a repo name`)
    const { owner, repo } = splitRepoName(name)
    return [owner, repo]
  }

  /** @param conflictId first 16 hex digits of the SHA-256 of another promise for the same commit */
  listing(name: RepoName, commit: CommitId, conflictId?: string): string {
    invariant(conflictId === undefined || /^[0-9a-f]{16}$/.test(conflictId), 'a conflict is named by 16 hex digits')
    const suffix = conflictId === undefined ? '' : `.conflict-${conflictId}`
    return join(this.listings, ...this.repoFolders(name), `${checkedCommit(commit)}${suffix}.json`)
  }

  manifest(name: RepoName, commit: CommitId, revision: number, extension: 'json' | 'sha256' = 'json'): string {
    invariant(Number.isSafeInteger(revision) && revision >= 1, 'manifest revisions count from 1')
    const suffix = revision === 1 ? '' : `.${revision}`
    return join(this.manifests, ...this.repoFolders(name), `${checkedCommit(commit)}${suffix}.${extension}`)
  }

  /** @param month `yyyy-mm` */
  eventFile(month: string): string {
    invariant(/^\d{4}-\d{2}$/.test(month), `${month} is a month`)
    return join(this.events, `${month}.jsonl`)
  }
}

function checkedKey(key: ContentKey): ContentKey {
  invariant(CONTENT_KEY.test(key), `${key} is a content key`)
  return key
}

function checkedCommit(commit: CommitId): CommitId {
  invariant(parseCommitId(commit) !== undefined, `${commit} is a commit`)
  return commit
}
