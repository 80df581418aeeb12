import { readFile } from 'node:fs/promises'
import { parseCommitId, parseSha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { printRepo } from '../domain/repo.ts'
import type { WitnessBook, WitnessRow } from '../domain/witness.ts'

/** The witness digests that ship with the program, next to `src` and `dist`. */
export const WITNESS_FILE = new URL('../../manifests/witness.json', import.meta.url)

interface Entry extends WitnessRow {
  readonly revision: string | undefined
}

/**
 * Reads a witness file: `{"format":"weightvault-witness/1","files":[{"repo","path","sha256","revision"?,"source"}]}`.
 * @throws ArchiveError RECORD_INVALID when it is not readable as such
 */
export async function readWitnessBook(file: URL): Promise<WitnessBook> {
  const byFile = new Map<string, Entry[]>()
  for (const row of await readRows(file)) {
    const sha256 = parseSha256(row['sha256'])
    if (sha256 === undefined || typeof row['repo'] !== 'string' || typeof row['path'] !== 'string') throw invalid(file)
    const revision = typeof row['revision'] === 'string' ? row['revision'] : undefined
    const entry = { sha256, source: String(row['source']), isPinned: parseCommitId(revision) !== undefined, revision }
    const key = keyOf(row['repo'], row['path'])
    byFile.set(key, [...(byFile.get(key) ?? []), entry])
  }
  return {
    lookUp: (ref, commit, path) =>
      (byFile.get(keyOf(printRepo(ref), path)) ?? []).filter((row) => !row.isPinned || row.revision === commit),
  }
}

async function readRows(file: URL): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8')
  const parsed = JSON.parse(text) as { format?: unknown; files?: unknown }
  if (parsed.format !== 'weightvault-witness/1' || !Array.isArray(parsed.files)) throw invalid(file)
  return parsed.files as Record<string, unknown>[]
}

function invalid(file: URL): ArchiveError {
  return new ArchiveError('RECORD_INVALID', `${file.pathname} is not a file of witness digests`, {
    hint: 'reinstall weightvault; the archive itself is not touched',
  })
}

function keyOf(repo: string, path: string): string {
  return `${repo}\n${path}`
}
