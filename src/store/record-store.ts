import { createHash } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseSha256, type CommitId, type Sha256 } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { printListing, promiseText, type Listing, type ListingHead } from '../domain/listing.ts'
import { printManifest, type Manifest, type ManifestDraft, type ManifestHead } from '../domain/manifest.ts'
import type { RepoName } from '../domain/repo.ts'
import {
  fileHolds,
  isErrno,
  makeDirectories,
  nameIsTaken,
  readRegularFile,
  replaceFileDurably,
  writeFileOnce,
} from '../lib/fs-durable.ts'
import type { RecordStore } from '../record-port.ts'
import { decodeListing, decodeListingHead, decodeManifest, recordInvalid } from './decode-record.ts'
import { appendToJournal, lastJournalSeq } from './event-journal.ts'
import { Layout } from './layout.ts'
import { listListings, readJournal } from './list-records.ts'
import { missingMarker, onDisk } from './store-error.ts'

/** A million files of 300 bytes each. */
const MAX_RECORD_BYTES = 300 * 1024 * 1024

/** The listings, manifests and event journal of an archive folder. Writing needs the archive's lock. */
export function createRecordStore(options: { root: string }): RecordStore {
  return new FolderRecordStore(options.root)
}

class FolderRecordStore implements RecordStore {
  readonly #layout: Layout
  /** Folders whose names this process has made durable. */
  readonly #known = new Set<string>()

  constructor(root: string) {
    this.#layout = new Layout(root)
  }

  async writeListing(listing: Listing, signal: AbortSignal): Promise<'written' | 'same' | 'conflict'> {
    signal.throwIfAborted()
    const { name } = listing.repo
    const path = this.#layout.listing(name, listing.commit)
    const bytes = Buffer.from(printListing(listing))
    return onDisk(this.#layout, path, async () => {
      await makeDirectories(this.#layout.listings, this.#layout.repoFolders(name), this.#known)
      if ((await writeFileOnce(path, bytes)) === 'written') return 'written'
      const first = await this.readListing(name, listing.commit)
      const promise = promiseText(listing)
      if (first !== undefined && promiseText(first.listing) === promise) return 'same'
      await writeFileOnce(this.#layout.listing(name, listing.commit, sha256Of(promise).slice(0, 16)), bytes)
      return 'conflict'
    })
  }

  readListing(name: RepoName, commit: CommitId): Promise<{ listing: Listing; sha256: Sha256 } | undefined> {
    return this.#readListing(name, commit, decodeListing)
  }

  readListingHead(name: RepoName, commit: CommitId): Promise<{ listing: ListingHead; sha256: Sha256 } | undefined> {
    return this.#readListing(name, commit, decodeListingHead)
  }

  async #readListing<T extends ListingHead>(
    name: RepoName,
    commit: CommitId,
    decode: (json: string, shown: string) => T,
  ): Promise<{ listing: T; sha256: Sha256 } | undefined> {
    const path = this.#layout.listing(name, commit)
    const found = await this.#readText(path, this.#layout.listings)
    if (found === undefined) return undefined
    const listing = decode(found.text, this.#layout.shown(path))
    this.#assertAbout(listing, name, commit, path)
    return { listing, sha256: found.sha256 }
  }

  async writeManifest(head: ManifestHead, files: ManifestDraft, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { name } = head.repo
    const path = this.#layout.manifest(name, head.commit, head.revision)
    const sums = this.#layout.manifest(name, head.commit, head.revision, 'sha256')
    await onDisk(this.#layout, path, async () => {
      await makeDirectories(this.#layout.manifests, this.#layout.repoFolders(name), this.#known)
      // Without a manifest beside it a .sha256 is what a crash left.
      if (!(await nameIsTaken(path))) await replaceFileDurably(sums, files.printSha256Sums(), 0o440)
      // Also where it is there already: whoever wrote it may have died before it was durable and its litter removed.
      await writeFileOnce(path, files.print(head))
      await this.#assertSealed(head, files, path)
    })
  }

  async readManifest(name: RepoName, commit: CommitId): Promise<Manifest | undefined> {
    const folder = dirname(this.#layout.manifest(name, commit, 1))
    const revision = await onDisk(this.#layout, folder, () => this.#highestRevision(folder, commit))
    if (revision === undefined) return undefined
    const path = this.#layout.manifest(name, commit, revision)
    const bytes = await this.#read(path, this.#layout.manifests)
    if (bytes === undefined) return undefined
    const manifest = decodeManifest(bytes.toString(), this.#layout.shown(path))
    this.#assertAbout(manifest, name, commit, path)
    if (manifest.revision === revision) return manifest
    throw recordInvalid(this.#layout.shown(path), `has revision ${manifest.revision}, its name says ${revision}`)
  }

  listings(): AsyncIterable<{ name: RepoName; commit: CommitId }> {
    return listListings(this.#layout)
  }

  journal(): AsyncIterable<LoggedEvent> {
    return readJournal(this.#layout)
  }

  lastEventSeq(): Promise<number> {
    return lastJournalSeq(this.#layout)
  }

  async appendEvents(events: readonly LoggedEvent[], signal: AbortSignal): Promise<void> {
    await appendToJournal(this.#layout, events, signal)
  }

  async #read(path: string, top: string): Promise<Buffer | undefined> {
    return onDisk(this.#layout, path, async () => {
      const bytes = await readRegularFile(path, this.#layout.shown(path), MAX_RECORD_BYTES)
      // "There is no such record" may only be said of an archive that is mounted.
      if (bytes === undefined) await this.#assertThere(top)
      return bytes
    })
  }

  /** The bytes themselves are let go before the text is decoded into many times as much. */
  async #readText(path: string, top: string): Promise<{ text: string; sha256: Sha256 } | undefined> {
    const bytes = await this.#read(path, top)
    return bytes === undefined ? undefined : { text: bytes.toString(), sha256: sha256Of(bytes) }
  }

  async #assertThere(folder: string): Promise<void> {
    try {
      await lstat(folder)
    } catch (error) {
      throw isErrno(error, 'ENOENT') ? missingMarker(this.#layout.root, error) : error
    }
  }

  async #highestRevision(folder: string, commit: CommitId): Promise<number | undefined> {
    let names: string[]
    try {
      names = await readdir(folder)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      await this.#assertThere(this.#layout.manifests)
      return undefined
    }
    const pattern = new RegExp(`^${commit}(?:\\.([1-9][0-9]{0,8}))?\\.json$`)
    const revisions = names.map((name) => pattern.exec(name)).filter((match) => match !== null)
    const highest = Math.max(0, ...revisions.map((match) => Number(match[1] ?? 1)))
    return highest === 0 ? undefined : highest
  }

  /** The first seal stands: sealing the same again is fine, only its time may differ. */
  async #assertSealed(head: ManifestHead, files: ManifestDraft, path: string): Promise<void> {
    const shown = this.#layout.shown(path)
    // Compared piece by piece, for it is nearly always the same; what is decoded below is held several times.
    if (await fileHolds(path, shown, files.print(head))) return
    const bytes = await this.#read(path, this.#layout.manifests)
    invariant(bytes !== undefined, `${shown} was written`)
    const stored = decodeManifest(bytes.toString(), shown)
    // Decoded, too, so that the order of its fields makes no difference.
    const printed = Buffer.concat([...files.print({ ...head, sealedAt: stored.sealedAt })])
    if (printManifest(decodeManifest(printed.toString(), shown)) === printManifest(stored)) return
    throw recordInvalid(shown, 'is sealed already, with other content')
  }

  #assertAbout(record: ListingHead | Manifest, name: RepoName, commit: CommitId, path: string): void {
    if (record.repo.name === name && record.commit === commit) return
    throw recordInvalid(this.#layout.shown(path), `is about ${record.repo.name}@${record.commit}`)
  }
}

function sha256Of(bytes: string | Uint8Array): Sha256 {
  const sha256 = parseSha256(createHash('sha256').update(bytes).digest('hex'))
  invariant(sha256 !== undefined, 'a hash is a SHA-256')
  return sha256
}
