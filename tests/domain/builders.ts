import { parseCommitId, parseGitOid, parseHubId, parseSha256 } from '../../src/domain/digest.ts'
import type { CommitId, GitOid, HubId, Sha256 } from '../../src/domain/digest.ts'
import type { KeepPolicy } from '../../src/domain/decision.ts'
import type { Listing, Sibling } from '../../src/domain/listing.ts'
import type { Manifest, ManifestFile } from '../../src/domain/manifest.ts'
import { parseRepoName, type RepoFacts, type RepoName, type RepoRef } from '../../src/domain/repo.ts'

/** Plain values for tests of the pure domain: every field is set, tests override what they are about. */

/** The same digit over and over: a digest that is easy to tell from another in a failure. */
export function sha(digit: string): Sha256 {
  return made(parseSha256(digit.repeat(64)))
}

export function oid(digit: string): GitOid {
  return made(parseGitOid(digit.repeat(40)))
}

export function commit(digit: string): CommitId {
  return made(parseCommitId(digit.repeat(40)))
}

export function hubId(digit: string): HubId {
  return made(parseHubId(digit.repeat(24)))
}

export function model(name: string): RepoRef & { name: RepoName } {
  return { type: 'model', name: made(parseRepoName(name)) }
}

/** An LFS file of a gigabyte unless told otherwise. */
export function lfsFile(path: string, changes: Partial<Sibling> = {}): Sibling {
  return { path, size: 1e9, gitOid: oid('1'), isLfs: true, lfsOid: sha('a'), xetHash: undefined, ...changes }
}

/** A small git file. */
export function gitFile(path: string, changes: Partial<Sibling> = {}): Sibling {
  return { path, size: 1000, gitOid: oid('2'), isLfs: false, lfsOid: undefined, xetHash: undefined, ...changes }
}

export function listing(files: readonly Sibling[], changes: Partial<Listing> = {}): Listing {
  return {
    format: 'weightvault-listing/1',
    repo: { ...model('Qwen/Qwen3.5-4B'), hubId: hubId('a') },
    commit: commit('b'),
    endpoint: 'https://huggingface.co',
    observedAt: '2026-09-01T10:00:00.000Z',
    createdAt: '2026-02-16T08:00:00.000Z',
    lastModified: '2026-08-31T12:00:00.000Z',
    gated: false,
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
    tags: ['license:apache-2.0'],
    cardData: { license: 'apache-2.0' },
    files,
    refused: [],
    ...changes,
  }
}

export function manifestFile(path: string, changes: Partial<ManifestFile> = {}): ManifestFile {
  return {
    path,
    size: 1000,
    sha256: sha('a'),
    gitOid: oid('2'),
    held: true,
    reason: 'small-file',
    attestedBy: ['hub-git-oid'],
    ...changes,
  }
}

export function manifest(files: readonly ManifestFile[], changes: Partial<Manifest> = {}): Manifest {
  return {
    format: 'weightvault-manifest/1',
    repo: { ...model('Qwen/Qwen3.5-4B'), hubId: hubId('a') },
    commit: commit('b'),
    revision: 1,
    endpoint: 'https://huggingface.co',
    sealedAt: '2026-09-01T10:00:00.000Z',
    coverage: 'all',
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
    listingSha256: sha('c'),
    files,
    ...changes,
  }
}

/** A keep that wants everything. */
export function keep(changes: Partial<KeepPolicy> = {}): KeepPolicy {
  return {
    files: 'all',
    formats: undefined,
    quants: undefined,
    include: ['*'],
    exclude: [],
    maxRepoBytes: undefined,
    ...changes,
  }
}

export function facts(name: string, changes: Partial<RepoFacts> = {}): RepoFacts {
  return {
    ref: model(name),
    hubId: hubId('a'),
    commit: commit('b'),
    createdAt: '2026-02-16T08:00:00.000Z',
    lastModified: '2026-08-31T12:00:00.000Z',
    gated: false,
    private: false,
    disabled: false,
    tags: [],
    cardData: undefined,
    license: { license: 'apache-2.0', license_name: undefined, license_link: undefined },
    ...changes,
  }
}

function made<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a builder was given a value that its parser refuses')
  return value
}
