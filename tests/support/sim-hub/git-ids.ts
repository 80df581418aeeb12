/** Git and LFS identities, computed as git and git-lfs do. */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Content } from '../content/content.ts'

const READ_BYTES = 1024 * 1024
const BYTES_BETWEEN_TURNS = 64 * READ_BYTES

/** Blob id of literal bytes: SHA-1 over `blob <size>\0` and the bytes, 40 hex digits. */
export function gitBlobId(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

/** The text git holds instead of an LFS file. */
export function lfsPointerText(sha256: string, size: number): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${size}\n`
}

/** Stand-in for the Xet hash: 64 hex digits that follow from the content and are not its SHA-256. */
export function xetHashOf(sha256: string): string {
  return createHash('sha256').update(`xet\0${sha256}`).digest('hex')
}

/** Tree id over the names and ids below one folder, 40 hex digits. */
export function treeId(entries: readonly { name: string; oid: string }[]): string {
  const hash = createHash('sha1').update('tree\0')
  for (const { name, oid } of entries) hash.update(`${name}\0${oid}\0`)
  return hash.digest('hex')
}

const sha256Cache = new WeakMap<Content, Promise<string>>()
const gitBlobCache = new WeakMap<Content, Promise<string>>()

/** SHA-256 of content of any size; computed once, in turns that let other requests be answered. */
export function sha256Of(content: Content): Promise<string> {
  return cached(sha256Cache, content, () => digestOf(content, 'sha256', ''))
}

/** Git blob id of content of any size, computed once. */
export function gitBlobIdOf(content: Content): Promise<string> {
  return cached(gitBlobCache, content, () => digestOf(content, 'sha1', `blob ${content.size}\0`))
}

function cached(cache: WeakMap<Content, Promise<string>>, content: Content, make: () => Promise<string>) {
  const known = cache.get(content)
  if (known !== undefined) return known
  const made = make()
  cache.set(content, made)
  return made
}

async function digestOf(content: Content, algorithm: string, prefix: string): Promise<string> {
  const hash = createHash(algorithm).update(prefix)
  let untilTurn = BYTES_BETWEEN_TURNS
  for (let offset = 0; offset < content.size; offset += READ_BYTES) {
    hash.update(content.read(offset, Math.min(READ_BYTES, content.size - offset)))
    untilTurn -= READ_BYTES
    if (untilTurn > 0) continue
    untilTurn = BYTES_BETWEEN_TURNS
    await nextTurn()
  }
  return hash.digest('hex')
}
