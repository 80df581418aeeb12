import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { MAX_LICENSE_CHARACTERS } from '../domain/license-words.ts'
import type { LicenseFile } from '../domain/license-entry.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { LicenseRow } from '../license-port.ts'

/** How a licence text differs from the one of the commit before. */
export interface LicenseTextChange {
  readonly path: string
  readonly from: { readonly commit: string; readonly sha256: string | null } | null
  readonly to: { readonly commit: string; readonly sha256: string | null } | null
  /** Unified patch; null when a text is not held, too long, or too different to be compared line by line. */
  readonly diff: string | null
}

/** Every change of a licence text between two following commits, newest first. `rows` are newest first. */
export async function* licenseTextChanges(
  archive: Pick<OpenedArchive, 'blobs'>,
  rows: readonly LicenseRow[],
  signal: AbortSignal,
): AsyncIterable<LicenseTextChange> {
  for (const [at, row] of rows.entries()) {
    const before = rows[at + 1]
    if (before === undefined) return
    for (const path of pathsOf(before, row)) {
      const [old, now] = [fileOf(before, path), fileOf(row, path)]
      const isSame = old !== undefined && now !== undefined && old.sha256 === now.sha256
      if (isSame) continue
      yield {
        path,
        from: old === undefined ? null : { commit: before.commit, sha256: old.sha256 ?? null },
        to: now === undefined ? null : { commit: row.commit, sha256: now.sha256 ?? null },
        diff: await diffOf(archive, { path, before, row }, [old, now], signal),
      }
    }
  }
}

function pathsOf(before: LicenseRow, row: LicenseRow): string[] {
  const files = [...before.files, ...row.files].filter(({ role }) => role !== 'card')
  return [...new Set(files.map(({ path }) => path))]
}

function fileOf(row: LicenseRow, path: string): LicenseFile | undefined {
  return row.files.find((file) => file.path === path && file.role !== 'card')
}

async function diffOf(
  archive: Pick<OpenedArchive, 'blobs'>,
  named: { path: string; before: LicenseRow; row: LicenseRow },
  [old, now]: readonly [LicenseFile | undefined, LicenseFile | undefined],
  signal: AbortSignal,
): Promise<string | null> {
  const before = await textOf(archive, old, signal)
  const after = await textOf(archive, now, signal)
  if (before === undefined || after === undefined) return null
  const { unifiedDiff } = await import('../lib/text-diff.ts')
  const name = (row: LicenseRow): string => `${displayName(named.path)}@${row.commit.slice(0, 10)}`
  const patch = unifiedDiff({ name: name(named.before), text: before }, { name: name(named.row), text: after })
  return patch ?? null
}

/** '' for a file that is not there; undefined for one whose text cannot be shown. */
async function textOf(
  archive: Pick<OpenedArchive, 'blobs'>,
  file: LicenseFile | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (file === undefined) return ''
  if (file.sha256 === undefined || file.size > MAX_LICENSE_CHARACTERS) return undefined
  try {
    await using blob = await archive.blobs.open(file.sha256, file.size, 0, signal)
    const bytes = new Uint8Array(file.size)
    let at = 0
    while (at < bytes.length) {
      const read = await blob.read(bytes.subarray(at), at)
      if (read === 0) break
      at += read
    }
    return new TextDecoder().decode(bytes.subarray(0, at))
  } catch (error) {
    if (error instanceof ArchiveError && ['FILE_UNKNOWN', 'FIXITY_FAILED'].includes(error.code)) return undefined
    throw error
  }
}
