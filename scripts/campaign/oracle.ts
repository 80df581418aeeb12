import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { blobPath, readManifest } from '../../tests/support/held-files.ts'
import type { KnownFile } from './known-contents.ts'

const READ_BYTES = 1 << 20

/**
 * Says what is true of an archive, from outside: it reads files with node:fs, hashes them itself, and compares them with
 * contents it knew before the program did.
 */
export class Oracle {
  readonly root: string
  readonly #known: readonly KnownFile[]
  readonly #acknowledged = new Set<string>()
  /** Blobs that were read, with what a change of them would change. */
  readonly #read = new Map<string, string>()

  constructor(root: string, known: readonly KnownFile[]) {
    this.root = root
    this.#known = known
  }

  /** The program said that it holds these bytes: from now on they must be there. */
  acknowledge(sha256s: Iterable<string>): void {
    for (const sha256 of sha256s) this.#acknowledged.add(sha256)
  }

  get acknowledged(): number {
    return this.#acknowledged.size
  }

  /** Nothing under a blob's name has other bytes, and everything acknowledged is there. */
  assertSound(): void {
    for (const sha256 of this.#blobNames()) this.#assertBytes(sha256)
    for (const sha256 of this.#acknowledged)
      assert.ok(this.#read.has(sha256), `LOST: acknowledged ${sha256} is not there`)
  }

  /**
   * Sound, and every known file is held under a manifest that names its true digest; nothing unfinished is left. Another
   * name of a published blob may be left where a kill came before its removal: it is swept with the next download.
   */
  assertComplete(commits: ReadonlyMap<string, string>): void {
    this.assertSound()
    for (const { repo, path, sha256 } of this.#known) {
      const manifest = readManifest(this.root, repo, commits.get(repo) ?? '')
      const file = manifest.files.find((one) => one.path === path)
      assert.equal(file?.sha256, sha256, `the manifest of ${repo} names other bytes for ${path}`)
      assert.ok(file?.held, `${repo} ${path} is held`)
      assert.ok(this.#read.has(sha256), `the blob of ${repo} ${path} is there`)
    }
    const partial = join(this.root, 'partial')
    const unfinished = (existsSync(partial) ? readdirSync(partial) : []).filter(
      (name) => !this.#read.has(/^sha256-([0-9a-f]{64})\./.exec(name)?.[1] ?? ''),
    )
    assert.deepEqual(unfinished, [], 'nothing unfinished is left')
  }

  #blobNames(): string[] {
    const blobs = join(this.root, 'blobs', 'sha256')
    if (!existsSync(blobs)) return []
    return readdirSync(blobs).flatMap((folder) => readdirSync(join(blobs, folder)))
  }

  /** Hashes a blob; again only when something about it changed, which nothing ever should. */
  #assertBytes(sha256: string): void {
    const path = blobPath(this.root, sha256)
    const { ino, size, mtimeMs, mode } = lstatSync(path)
    const looks = `${ino} ${size} ${mtimeMs} ${mode}`
    if (this.#read.get(sha256) === looks) return
    assert.equal(this.#read.get(sha256), undefined, `WRONG: the published blob ${sha256} was changed`)
    assert.equal(hashOf(path), sha256, `WRONG: the blob ${sha256} has other bytes`)
    assert.equal(mode & 0o777, 0o440, `the blob ${sha256} is read-only`)
    this.#read.set(sha256, looks)
  }
}

function hashOf(path: string): string {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  const file = openSync(path, 'r')
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
      hash.update(buffer.subarray(0, read))
    }
  } finally {
    closeSync(file)
  }
  return hash.digest('hex')
}
