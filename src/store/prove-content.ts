import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { parseGitOid, parseSha256 } from '../domain/digest.ts'
import type { Digests } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import { SMALL_CONTENT_BYTES } from '../domain/small-content.ts'
import { isErrno } from '../lib/fs-durable.ts'
import type { Entry } from './batch-entry.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'
import { setForeignAside } from './quarantine.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants

/**
 * Writes, fsyncs, and hashes what is in the file, not what came: only that proves the bytes that will be served. Bytes
 * that are not those of their key are a result, no failure.
 */
export async function prove(layout: Layout, entry: Entry): Promise<void> {
  const { io, item, partial } = entry
  const { key, bytes } = item
  const fd = await openNew(layout, io, partial)
  entry.fd = fd
  io.makeReadOnly(fd)
  for (let written = 0; written < bytes.length;) {
    const count = await io.write(fd, written === 0 ? bytes : bytes.subarray(written), written)
    if (count === 0) throw Object.assign(new Error('write took no bytes'), { code: 'EIO', errno: -5 })
    written += count
  }
  await io.fsync(fd)
  const digests = readDigests(io, fd)
  entry.fd = undefined
  io.close(fd)
  entry.digests = digests
  const actual = key.startsWith('sha256-') ? `sha256-${digests.sha256}` : `git-${digests.gitOid}-${digests.size}`
  if (actual !== key || digests.size !== bytes.length) entry.result = { digests, isPublished: false }
}

async function openNew(layout: Layout, io: BatchIo, path: string): Promise<number> {
  const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR
  try {
    return await io.open(path, flags, 0o440)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    // Left by a process that was killed. It may be a published blob's second name, so it is never written to.
    if ((await setForeignAside(layout, path)) === undefined) await io.unlink(path)
    return io.open(path, flags, 0o440)
  }
}

/** Git hashes the length in front of the bytes: room for it there makes both digests one call each. */
const PREFIX_BYTES = 32
/** One byte more than the longest content shows a file that is too long. Used within one turn only. */
const readBack = Buffer.allocUnsafeSlow(PREFIX_BYTES + SMALL_CONTENT_BYTES + 1)

/** Digests of the bytes that a file of a small content has now. @throws errno errors */
export function readDigests(io: BatchIo, fd: number): Digests {
  let end = PREFIX_BYTES
  for (;;) {
    const count = io.read(fd, readBack, end, end - PREFIX_BYTES)
    end += count
    if (count === 0 || end === readBack.length) break
  }
  const size = end - PREFIX_BYTES
  const prefix = `blob ${size}\0`
  readBack.write(prefix, PREFIX_BYTES - prefix.length, 'latin1')
  const sha256 = parseSha256(hash('sha256', readBack.subarray(PREFIX_BYTES, end), 'hex'))
  const gitOid = parseGitOid(hash('sha1', readBack.subarray(PREFIX_BYTES - prefix.length, end), 'hex'))
  invariant(sha256 !== undefined && gitOid !== undefined, 'a hash is a digest')
  return { sha256, gitOid, size }
}
