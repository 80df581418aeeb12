import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BlobStore } from '../../src/blob-port.ts'
import { HashPool } from '../../src/lib/hash-files.ts'
import type { Log } from '../../src/log-port.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'

/** Small, so that a test crosses many pieces with few bytes. */
export const PIECE_BYTES = 64 * 1024

export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A log that keeps what was said. */
export function keepingLog(): { log: Log; lines: { message: string; fields: Readonly<Record<string, unknown>> }[] } {
  const lines: { message: string; fields: Readonly<Record<string, unknown>> }[] = []
  const keep = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    void lines.push({ message, fields })
  return { log: { debug: keep, info: keep, warn: keep, error: keep }, lines }
}

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wv-store-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A new archive with a blob store over it. */
export async function makeStore(
  t: TestContext,
  root = join(temporaryFolder(t), 'archive'),
  log: Log = SILENT,
): Promise<{ root: string; layout: Layout; store: BlobStore; reopen: () => Promise<BlobStore> }> {
  const hashPool = new HashPool()
  t.after(() => hashPool.close())
  const { archiveId } = await openArchiveFolder(root, { create: true })
  const reopen = async (): Promise<BlobStore> =>
    createBlobStore({ root, archiveId, pieceBytes: PIECE_BYTES, hashPool, log })
  return { root, layout: new Layout(root), store: await reopen(), reopen }
}
