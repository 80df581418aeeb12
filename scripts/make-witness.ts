/**
 * Writes manifests/witness.json: SHA-256 digests of real Qwen files, collected from public sources, so that an archive
 * can be compared with what others saw. Its input are the tables under tests/fixtures/qwen; see the README there.
 *
 * usage: node scripts/make-witness.ts
 */
import { writeFileSync } from 'node:fs'
import { fixtureRows } from '../tests/support/content/fixture-file.ts'

/** One known digest: this path of this repo had these bytes, at this commit when one is named. */
export interface WitnessFile {
  readonly repo: string
  readonly path: string
  /** Bytes, where a source gave them. */
  readonly size?: number
  readonly sha256: string
  /** Commit, where a source gave it. */
  readonly revision?: string
  /** Where the digest was read. */
  readonly source: string
}

const GALLERY = 'mudler/LocalAI gallery/index.yaml@82c191af'

/** Everything known, sorted by repo, path and revision; one entry for the same bytes of the same file. */
export function witnessFiles(): WitnessFile[] {
  const found = [...listedFiles(), ...rebuiltFiles(), ...convertedFiles(), ...licenseFiles()]
  const merged = new Map<string, WitnessFile>()
  for (const file of found) {
    const key = [file.repo, file.path, file.revision, file.sha256].join('\0')
    const known = merged.get(key)
    merged.set(key, known ? { ...file, ...known, source: bothSources(known.source, file.source) } : file)
  }
  return [...merged.values()].sort((a, b) => compare(sortKey(a), sortKey(b)))
}

/** The file as it is written: one entry a line, so that a difference shows which digest changed. */
export function witnessText(files: readonly WitnessFile[]): string {
  const lines = files.map(({ repo, path, size, sha256, revision, source }) => {
    return `    ${JSON.stringify({ repo, path, size, sha256, revision, source })}`
  })
  return `{\n  "format": "weightvault-witness/1",\n  "files": [\n${lines.join(',\n')}\n  ]\n}\n`
}

/** Listings of whole repos and single files. */
function listedFiles(): WitnessFile[] {
  return fixtureRows('qwen/qwen-files.csv')
    .filter((row) => row.get('sha256') && row.get('repo_id') !== 'openai-community/gpt2')
    .filter((row) => !/exists only on ModelScope/.test(row.get('source') ?? ''))
    .map((row) => witness(row, (row.get('source') ?? '').replace('mudler/LocalAI gallery/index.yaml', GALLERY)))
}

/** Qwen/Qwen3-0.6B: all but the README have a published or recomputed SHA-256. */
function rebuiltFiles(): WitnessFile[] {
  return fixtureRows('qwen/qwen3-0.6b.csv')
    .filter((row) => row.get('sha256'))
    .map((row) => witness(row, row.get('source') ?? ''))
}

/** GGUF files of Qwen itself and of well-known converters. */
function convertedFiles(): WitnessFile[] {
  return fixtureRows('qwen/converted-files.csv').map((row) => witness(row, GALLERY))
}

function licenseFiles(): WitnessFile[] {
  return fixtureRows('qwen/license-files.csv').map((row) => witness(row, row.get('source') ?? ''))
}

function witness(row: ReadonlyMap<string, string>, source: string): WitnessFile {
  const size = Number(row.get('size'))
  const revision = row.get('revision')
  return {
    repo: row.get('repo_id') ?? '',
    path: row.get('path') ?? '',
    ...(size > 0 && { size }),
    sha256: row.get('sha256') ?? '',
    ...(revision && { revision }),
    source,
  }
}

function bothSources(first: string, second: string): string {
  return first.includes(second) ? first : `${first}; ${second}`
}

function sortKey(file: WitnessFile): string {
  return [file.repo, file.path, file.revision ?? '', file.sha256].join('\0')
}

/** By code units: the same order on every machine. */
function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

if (import.meta.main) {
  const files = witnessFiles()
  writeFileSync(new URL('../manifests/witness.json', import.meta.url), witnessText(files))
  console.log(`manifests/witness.json: ${files.length} files`)
}
