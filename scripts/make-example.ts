/**
 * Writes manifests/example: a tiny sealed archive as the program writes it, and in `files` what a person gets back from it.
 * The bytes are four small files of Qwen/Qwen3-0.6B at the commit of the fixtures; the permanent id, the times and the
 * archive id are invented, so that the result is the same on every machine.
 *
 * usage: node scripts/make-example.ts
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KeepPolicy } from '../src/domain/decision.ts'
import { parseCommitId, parseGitOid, parseHubId, parseSha256 } from '../src/domain/digest.ts'
import { invariant } from '../src/domain/errors.ts'
import type { LoggedEvent } from '../src/domain/events.ts'
import { printListing, type Listing, type Sibling } from '../src/domain/listing.ts'
import { printManifest, printSha256Sums, type Manifest, type ManifestFile } from '../src/domain/manifest.ts'
import { decideFiles } from '../src/domain/policy.ts'
import { parseRepoName } from '../src/domain/repo.ts'
import { Layout } from '../src/store/layout.ts'
import { gitOidOf, lfsPointer, sha256Of } from '../tests/support/content/digests.ts'
import { literal } from '../tests/support/content/generated.ts'
import { publishedQwen3Files, QWEN3_COMMIT, QWEN3_REPO, qwen3Files } from '../tests/support/content/qwen3-revision.ts'

const ARCHIVE_ID = '3f0c1f6e-9d57-4b7e-8a55-6f1d2c0b9a11'
const OBSERVED_AT = '2026-09-01T10:00:00.000Z'
const SEALED_AT = '2026-09-01T10:00:02.000Z'
const ENDPOINT = 'https://huggingface.co'

/** What the example's watch entry says: `keep: { files: metadata, exclude: [...] }`. */
const KEEP: KeepPolicy = {
  files: 'metadata',
  formats: undefined,
  quants: undefined,
  include: ['*'],
  exclude: ['.gitattributes', 'README.md', 'merges.txt', 'tokenizer.json', 'vocab.json'],
  maxRepoBytes: undefined,
}

/** Every file of the example, by its path below manifests/example. */
export function exampleFiles(): Map<string, Buffer> {
  const listing = exampleListing()
  const listingBytes = Buffer.from(printListing(listing))
  const manifest = exampleManifest(listing, sha256Of(literal(listingBytes)))
  const { name } = listing.repo
  const layout = new Layout('')
  const files = new Map<string, Buffer>()
  const marker = { format: 'weightvault-archive/1', archiveId: ARCHIVE_ID, createdAt: '2026-09-01T09:59:00.000Z' }
  files.set(layout.marker, Buffer.from(`${JSON.stringify(marker)}\n`))
  files.set(layout.listing(name, listing.commit), listingBytes)
  files.set(layout.manifest(name, listing.commit, 1), Buffer.from(printManifest(manifest)))
  files.set(layout.manifest(name, listing.commit, 1, 'sha256'), Buffer.from(printSha256Sums(manifest)))
  const events = exampleEvents(listing, manifest).map((event) => `${JSON.stringify(event)}\n`)
  files.set(layout.eventFile('2026-09'), Buffer.from(events.join('')))
  for (const file of manifest.files) {
    const content = qwen3Files().get(file.path)
    if (!file.held || file.sha256 === null || content === undefined) continue
    files.set(layout.blob(file.sha256), Buffer.from(content.read(0, content.size)))
    files.set(join('files', file.path), Buffer.from(content.read(0, content.size)))
  }
  return files
}

function exampleListing(): Listing {
  const name = parseRepoName(QWEN3_REPO)
  const hubId = parseHubId('680da5000000000000000001')
  const commit = parseCommitId(QWEN3_COMMIT)
  invariant(name !== undefined && hubId !== undefined && commit !== undefined, 'the fixture names a repo and a commit')
  const license = 'apache-2.0'
  const license_link = 'https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/LICENSE'
  return {
    format: 'weightvault-listing/1',
    repo: { type: 'model', name, hubId },
    commit,
    endpoint: ENDPOINT,
    observedAt: OBSERVED_AT,
    createdAt: '2025-04-27T03:40:08.000Z',
    lastModified: '2025-07-26T03:46:27.000Z',
    gated: false,
    license: { license, license_name: undefined, license_link },
    tags: ['transformers', 'safetensors', 'qwen3', 'license:apache-2.0'],
    cardData: { library_name: 'transformers', license, license_link, pipeline_tag: 'text-generation' },
    files: publishedQwen3Files().map((file): Sibling => {
      const sha256 = file.lfs ? parseSha256(file.sha256) : undefined
      const pointer = sha256 === undefined ? undefined : gitOidOf(literal(lfsPointer(sha256, file.size)))
      return {
        path: file.path,
        size: file.size,
        gitOid: parseGitOid(file.gitOid ?? pointer),
        isLfs: file.lfs,
        lfsOid: sha256,
        xetHash: undefined,
      }
    }),
    refused: [],
  }
}

function exampleManifest(listing: Listing, listingDigest: string): Manifest {
  const listingSha256 = parseSha256(listingDigest)
  invariant(listingSha256 !== undefined, 'a hash is a SHA-256')
  const decisions = decideFiles(listing.files, KEEP)
  return {
    format: 'weightvault-manifest/1',
    repo: listing.repo,
    commit: listing.commit,
    revision: 1,
    endpoint: ENDPOINT,
    sealedAt: SEALED_AT,
    coverage: 'selection',
    license: listing.license,
    listingSha256,
    files: listing.files.map((file, index): ManifestFile => {
      const decision = decisions[index]
      const content = qwen3Files().get(file.path)
      const held = decision?.take === true && content !== undefined
      return {
        path: file.path,
        size: file.size,
        sha256: (held ? parseSha256(sha256Of(content)) : file.lfsOid) ?? null,
        gitOid: file.gitOid ?? null,
        held,
        reason: decision?.reason ?? 'not-decided',
        attestedBy: held ? ['hub-git-oid', 'witness'] : [],
      }
    }),
  }
}

function exampleEvents(listing: Listing, manifest: Manifest): LoggedEvent[] {
  const repo = { type: listing.repo.type, name: listing.repo.name }
  const held = manifest.files.filter((file) => file.held)
  return [
    {
      type: 'repo-published',
      severity: 'info',
      repo,
      at: OBSERVED_AT,
      before: null,
      after: { hubId: listing.repo.hubId, commit: listing.commit, createdAt: listing.createdAt },
      detail: { backlog: true },
      seq: 1,
      id: `${ARCHIVE_ID.slice(0, 8)}-1`,
    },
    {
      type: 'snapshot-sealed',
      severity: 'info',
      repo,
      at: SEALED_AT,
      before: null,
      after: listing.commit,
      detail: {
        revision: 1,
        coverage: manifest.coverage,
        filesHeld: held.length,
        filesListed: manifest.files.length,
        bytesHeld: held.reduce((sum, file) => sum + file.size, 0),
      },
      seq: 2,
      id: `${ARCHIVE_ID.slice(0, 8)}-2`,
    },
  ]
}

if (import.meta.main) {
  const root = fileURLToPath(new URL('../manifests/example/', import.meta.url))
  const files = exampleFiles()
  rmSync(root, { recursive: true, force: true })
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), bytes)
  }
  console.log(`manifests/example: ${files.size} files`)
}
