import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { BlockChecks } from '../blob-port.ts'
import type { Sha256 } from '../domain/digest.ts'
import { OPEN_NEW, readRegularFile, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'

const FORMAT = 'weightvault-blocks/1'
const MAX_BYTES = 64 * 1024 * 1024

/** The text of a check file: one line a block, and a last one that tells a torn file. */
export function printBlockChecks(sha256: Sha256, checks: BlockChecks): string {
  const lines = Array.from(checks.crcs, (crc) => `${hex(crc)}\n`).join('')
  const text = `${FORMAT} ${sha256} ${checks.size} ${checks.blockBytes}\n${lines}`
  return `${text}end ${hex(crc32(text))}\n`
}

/** Undefined when the text is not a whole and consistent check file of this blob. */
export function parseBlockChecks(text: string, sha256: Sha256): BlockChecks | undefined {
  const match =
    /^(weightvault-blocks\/1 ([0-9a-f]{64}) (\d{1,16}) (\d{1,10})\n((?:[0-9a-f]{8}\n)*))end ([0-9a-f]{8})\n$/.exec(text)
  if (match === null || match[2] !== sha256) return undefined
  const [size, blockBytes, lines] = [Number(match[3]), Number(match[4]), match[5]!]
  if (hex(crc32(match[1]!)) !== match[6] || blockBytes < 1) return undefined
  if (!Number.isSafeInteger(size) || lines.length / 9 !== Math.ceil(size / blockBytes)) return undefined
  const crcs = Uint32Array.from({ length: lines.length / 9 }, (_, index) =>
    Number.parseInt(lines.slice(index * 9, index * 9 + 8), 16),
  )
  return { size, blockBytes, crcs }
}

/**
 * Keeps the CRC-32 of each block of a blob beside the blobs. Not made durable: a power cut may take them,
 * and the SHA-256 still proves the blob. @throws errno errors
 */
export async function writeBlockChecks(layout: Layout, sha256: Sha256, checks: BlockChecks): Promise<void> {
  const path = layout.blockChecks(sha256)
  const fresh = layout.unnamedChecks(sha256)
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  await unlinkIfThere(fresh)
  try {
    await writeNew(fresh, printBlockChecks(sha256, checks))
    await rename(fresh, path)
  } catch (error) {
    await unlinkIfThere(fresh).catch(() => undefined)
    throw error
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  await using handle = await open(path, OPEN_NEW, 0o440)
  await writeAll(handle, Buffer.from(text), 0)
}

/** What was kept for a blob; undefined where there is nothing or nothing that can be believed. @throws errno errors */
export async function readBlockChecks(layout: Layout, sha256: Sha256): Promise<BlockChecks | undefined> {
  const path = layout.blockChecks(sha256)
  const bytes = await readRegularFile(path, layout.shown(path), MAX_BYTES)
  return bytes === undefined ? undefined : parseBlockChecks(bytes.toString('latin1'), sha256)
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}
