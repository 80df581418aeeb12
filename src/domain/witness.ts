import type { CommitId, Sha256 } from './digest.ts'
import type { ChangeEvent } from './events.ts'
import type { Listing } from './listing.ts'
import type { RepoRef } from './repo.ts'

/** A known SHA-256 of a real file. `isPinned` rows speak for exactly one commit, the others for "some" revision. */
export interface WitnessRow {
  readonly sha256: Sha256
  readonly source: string
  readonly isPinned: boolean
}

/** Second opinions on files, from sources other than the Hub. */
export interface WitnessBook {
  lookUp(ref: RepoRef, commit: CommitId, path: string): readonly WitnessRow[]
}

/**
 * `agrees` when a witness knows these bytes, `contradicts` when one knows others, undefined when none speaks. Where a row
 * speaks for exactly this commit, rows of other revisions are not heard: an older file of the same name proves nothing.
 */
export function hearWitness(rows: readonly WitnessRow[], sha256: Sha256): 'agrees' | 'contradicts' | undefined {
  const heard = mostExact(rows)
  if (heard.length === 0) return undefined
  return heard.some((row) => row.sha256 === sha256) ? 'agrees' : 'contradicts'
}

function mostExact(rows: readonly WitnessRow[]): readonly WitnessRow[] {
  const pinned = rows.filter((row) => row.isPinned)
  return pinned.length > 0 ? pinned : rows
}

/** One event a file whose promise in a listing a witness contradicts. The bytes are archived all the same. */
export function witnessContradictions(listing: Listing, book: WitnessBook): ChangeEvent[] {
  return listing.files.flatMap((file) =>
    file.lfsOid === undefined
      ? []
      : contradictionEvent(
          { ref: listing.repo, commit: listing.commit, path: file.path },
          file.lfsOid,
          book,
          listing.observedAt,
        ),
  )
}

/**
 * The event of one file whose digest a witness contradicts, or none. A row pinned to this commit makes it critical: the
 * same commit had other bytes. Any other row is a notice: the file may have been replaced honestly.
 */
export function contradictionEvent(
  file: { readonly ref: RepoRef; readonly commit: CommitId; readonly path: string },
  sha256: Sha256,
  book: WitnessBook,
  at: string,
): ChangeEvent[] {
  const { ref, commit, path } = file
  const rows = book.lookUp(ref, commit, path)
  if (hearWitness(rows, sha256) !== 'contradicts') return []
  const heard = mostExact(rows)
  const isPinned = heard.some((row) => row.isPinned)
  return [
    {
      type: 'upstream-damaged',
      severity: isPinned ? 'critical' : 'notice',
      repo: { type: ref.type, name: ref.name },
      at,
      before: heard.map((row) => row.sha256),
      after: sha256,
      detail: {
        path,
        commit,
        witness: heard.map((row) => row.source),
        meaning: isPinned
          ? 'the Hub promises other bytes for this commit than an independent source recorded'
          : 'the Hub promises other bytes than an independent source recorded for some revision of this file',
      },
    },
  ]
}
