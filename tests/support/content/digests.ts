import { createHash } from 'node:crypto'
import type { Content } from './content.ts'

const CHUNK_BYTES = 1 << 20

/** Lower-case hex SHA-256 of the whole file, read 1 MiB at a time. */
export function sha256Of(content: Content): string {
  return digestOf('sha256', content, '')
}

/** The id git gives the file as a blob: the Hub's `oid` of a file that is not in LFS. */
export function gitOidOf(content: Content): string {
  return digestOf('sha1', content, `blob ${content.size}\0`)
}

/**
 * The text git stores in place of an LFS file; its `gitOidOf` is the Hub's `oid` of that file.
 * Source: git-lfs pointer specification v1.
 */
export function lfsPointer(sha256: string, size: number): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${size}\n`
}

function digestOf(algorithm: string, content: Content, prefix: string): string {
  const hash = createHash(algorithm).update(prefix)
  for (let offset = 0; offset < content.size; offset += CHUNK_BYTES) {
    hash.update(content.read(offset, Math.min(CHUNK_BYTES, content.size - offset)))
  }
  return hash.digest('hex')
}
