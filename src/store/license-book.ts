import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ArchiveError } from '../domain/errors.ts'
import type { LicenseBook, LicenseFingerprint } from '../domain/license-match.ts'

/** The fingerprints that ship with the program, next to `src` and `dist`. */
export const LICENSE_FINGERPRINTS_FILE = new URL('../../manifests/license-fingerprints.json', import.meta.url)

const FORMAT = 'weightvault-license-fingerprints/1'

/**
 * Reads the known licences: `{"format","licenses":[{"ids","name","words","sha256","sketch"}]}`, the sketch as base64 of
 * 32-bit little-endian numbers.
 * @throws ArchiveError RECORD_INVALID when it is not readable as such
 */
export async function readLicenseBook(file: URL): Promise<LicenseBook> {
  const parsed = JSON.parse(await readFile(file, 'utf8')) as { format?: unknown; licenses?: unknown }
  if (parsed.format !== FORMAT || !Array.isArray(parsed.licenses)) throw invalid(file)
  return { fingerprints: parsed.licenses.map((row: unknown) => readFingerprint(row, file)), sha256Of }
}

/** Lower-case hex SHA-256 of a text's UTF-8. */
export function sha256Of(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** The text of a fingerprint file, one licence a line. */
export function printFingerprints(fingerprints: readonly LicenseFingerprint[]): string {
  const lines = fingerprints.map(({ sketch, ...rest }) => {
    const bytes = Buffer.alloc(sketch.length * 4)
    sketch.forEach((hash, at) => bytes.writeUInt32LE(hash, at * 4))
    return `    ${JSON.stringify({ ...rest, sketch: bytes.toString('base64') })}`
  })
  return `{\n  "format": "${FORMAT}",\n  "licenses": [\n${lines.join(',\n')}\n  ]\n}\n`
}

function readFingerprint(row: unknown, file: URL): LicenseFingerprint {
  const { ids, name, words, sha256, sketch } = row as Record<string, unknown>
  const isWhole = Array.isArray(ids) && typeof words === 'number' && typeof sha256 === 'string'
  if (!isWhole || typeof sketch !== 'string') throw invalid(file)
  const bytes = Buffer.from(sketch, 'base64')
  return {
    ids: ids.map(String),
    name: String(name),
    words,
    sha256,
    sketch: Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readUInt32LE(at * 4)),
  }
}

function invalid(file: URL): ArchiveError {
  return new ArchiveError('RECORD_INVALID', `${file.pathname} is not a file of licence fingerprints`, {
    hint: 'reinstall weightvault; the archive itself is not touched',
  })
}
