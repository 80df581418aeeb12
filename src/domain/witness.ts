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

/** `agrees` when a witness knows these bytes, `contradicts` when one knows others, undefined when none speaks. */
export function hearWitness(rows: readonly WitnessRow[], sha256: Sha256): 'agrees' | 'contradicts' | undefined {
  if (rows.length === 0) return undefined
  return rows.some((row) => row.sha256 === sha256) ? 'agrees' : 'contradicts'
}

/** One event a file whose promise in a listing a witness contradicts. The bytes are archived all the same. */
export function witnessContradictions(listing: Listing, book: WitnessBook): ChangeEvent[] {
  return listing.files.flatMap((file) =>
    file.lfsOid === undefined
      ? []
      : contradictionEvent(listing.repo, listing.commit, file.path, file.lfsOid, book, listing.observedAt),
  )
}

/**
 * The event of one file whose digest a witness contradicts, or none. A row pinned to this commit makes it critical: the
 * same commit had other bytes. Any other row is a notice: the file may have been replaced honestly.
 */
export function contradictionEvent(
  ref: RepoRef,
  commit: CommitId,
  path: string,
  sha256: Sha256,
  book: WitnessBook,
  at: string,
): ChangeEvent[] {
  const rows = book.lookUp(ref, commit, path)
  if (hearWitness(rows, sha256) !== 'contradicts') return []
  const pinned = rows.filter((row) => row.isPinned)
  const heard = pinned.length > 0 ? pinned : rows
  return [
    {
      type: 'upstream-damaged',
      severity: pinned.length > 0 ? 'critical' : 'notice',
      repo: { type: ref.type, name: ref.name },
      at,
      before: heard.map((row) => row.sha256),
      after: sha256,
      detail: {
        path,
        commit,
        witness: heard.map((row) => row.source),
        meaning:
          pinned.length > 0
            ? 'the Hub promises other bytes for this commit than an independent source recorded'
            : 'the Hub promises other bytes than an independent source recorded for some revision of this file',
      },
    },
  ]
}
