import type { CommitId, GitOid, HubId, Sha256 } from './digest.ts'
import { isPortableName, pathsBothFileAndFolder } from './file-name.ts'
import type { LicenseFacts, RepoRef } from './repo.ts'

export type Coverage = 'all' | 'selection'

/** Who vouched for a file's bytes besides our own SHA-256. */
export const ATTESTORS = ['hub-lfs-oid', 'hub-git-oid', 'witness'] as const
export type Attestor = (typeof ATTESTORS)[number]

/** One file of a manifest: what we verified, or why we do not hold it. */
export interface ManifestFile {
  readonly path: string
  readonly size: number
  /** Computed by us from the bytes on disk; for a file not held the LFS promise, or null. */
  readonly sha256: Sha256 | null
  readonly gitOid: GitOid | null
  readonly held: boolean
  /** Code of the policy's reason. */
  readonly reason: string
  readonly attestedBy: readonly Attestor[]
}

/** What we verified for a commit. Its presence is what makes a snapshot sealed. */
export interface Manifest {
  readonly format: 'weightvault-manifest/1'
  readonly repo: RepoRef & { readonly hubId: HubId }
  readonly commit: CommitId
  /** 1 for the first manifest of a commit; a later, wider selection adds the next number and never changes the old. */
  readonly revision: number
  readonly endpoint: string
  readonly sealedAt: string
  readonly coverage: Coverage
  readonly license: LicenseFacts
  /** SHA-256 of the listing file this manifest was made from. */
  readonly listingSha256: Sha256
  readonly files: readonly ManifestFile[]
}

/** A manifest without its files, which may be tens of thousands. */
export type ManifestHead = Omit<Manifest, 'files'>

/** Files of one piece of a manifest's text. */
const FILES_PER_PIECE = 500

/**
 * The files of a manifest in the making, added in their order. Kept as the text they become, in pieces: tens of thousands
 * of objects would take several times the memory.
 */
export class ManifestDraft {
  readonly #lines: Uint8Array[] = []
  readonly #paths: string[] = []
  #held = { files: 0, bytes: 0 }

  static of(files: readonly ManifestFile[]): ManifestDraft {
    const draft = new ManifestDraft()
    for (let at = 0; at < files.length; at += FILES_PER_PIECE) draft.add(files.slice(at, at + FILES_PER_PIECE))
    return draft
  }

  /** Some hundreds at once: they become one piece. */
  add(files: readonly ManifestFile[]): void {
    if (files.length === 0) return
    this.#lines.push(encode(files.map((file) => JSON.stringify(file)).join(',\n')))
    for (const file of files) {
      this.#paths.push(file.path)
      if (file.held) this.#held = { files: this.#held.files + 1, bytes: this.#held.bytes + file.size }
    }
  }

  get filesListed(): number {
    return this.#paths.length
  }

  /** How many are held, and their bytes. */
  get held(): { readonly files: number; readonly bytes: number } {
    return this.#held
  }

  /** The manifest's file, piece by piece, UTF-8: JSON, one file a line. */
  *print(head: ManifestHead): Generator<Uint8Array> {
    yield encode(`${JSON.stringify(head).slice(0, -1)},\n"files":[\n`)
    for (const [at, lines] of this.#lines.entries()) {
      if (at > 0) yield encode(',\n')
      yield lines
    }
    yield encode('\n]}\n')
  }

  /**
   * The `.sha256` file, piece by piece, UTF-8: one line a held file in `sha256sum`'s format, so that `sha256sum -c` works
   * in a restored folder. Files whose name may not exist on disk are left out; the manifest has them.
   */
  *printSha256Sums(): Generator<Uint8Array> {
    const clashing = pathsBothFileAndFolder(this.#paths)
    for (const lines of this.#lines) {
      const files = JSON.parse(`[${new TextDecoder().decode(lines)}]`) as ManifestFile[]
      const listed = files.filter(
        ({ path, held, sha256 }) => held && sha256 !== null && isPortableName(path) && !clashing.has(path),
      )
      yield encode(listed.map((file) => `${file.sha256}  ${sumsName(file.path)}\n`).join(''))
    }
  }
}

/** The text of a manifest file, whole. */
export function printManifest({ files, ...head }: Manifest): string {
  return joined(ManifestDraft.of(files).print(head))
}

/** The text of a `.sha256` file, whole. */
export function printSha256Sums(manifest: Pick<Manifest, 'files'>): string {
  return joined(ManifestDraft.of(manifest.files).printSha256Sums())
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function joined(pieces: Iterable<Uint8Array>): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return Array.from(pieces, (piece) => decoder.decode(piece, { stream: true })).join('')
}

/** `sha256sum` reads its standard input for the name `-`. */
function sumsName(path: string): string {
  return path === '-' ? './-' : path
}
