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

/** What the witnesses say of a digest. `differs`: they know other bytes, but not for which revision. */
export type Testimony = 'agrees' | 'contradicts' | 'differs' | 'silent'

/**
 * Asks the witnesses of one file. Where a row speaks for exactly this commit, rows of other revisions are not heard: an
 * older file of the same name proves nothing.
 */
export function hearWitness(rows: readonly WitnessRow[], sha256: Sha256): Testimony {
  const heard = mostExact(rows)
  if (heard.length === 0) return 'silent'
  if (heard.some((row) => row.sha256 === sha256)) return 'agrees'
  return heard.some((row) => row.isPinned) ? 'contradicts' : 'differs'
}

function mostExact(rows: readonly WitnessRow[]): readonly WitnessRow[] {
  const pinned = rows.filter((row) => row.isPinned)
  return pinned.length > 0 ? pinned : rows
}

/** Longest list of files kept in one event. */
const MAX_FILES_IN_EVENT = 50

/**
 * The events of a listing whose promises witnesses do not share: a critical one a file for which a source recorded other
 * bytes at this very commit, and a single remark for files that a source knows differently from some other revision. The
 * bytes are archived all the same.
 */
export function witnessContradictions(listing: Listing, book: WitnessBook): ChangeEvent[] {
  const events: ChangeEvent[] = []
  const differing: { path: string; sha256: Sha256; witness: Sha256[]; sources: string[] }[] = []
  for (const { path, lfsOid } of listing.files) {
    if (lfsOid === undefined) continue
    const rows = book.lookUp(listing.repo, listing.commit, path)
    if (hearWitness(rows, lfsOid) === 'differs') {
      const sources = rows.map((row) => row.source)
      differing.push({ path, sha256: lfsOid, witness: rows.map((row) => row.sha256), sources })
    }
    const file = { ref: listing.repo, commit: listing.commit, path }
    events.push(...contradictionEvent(file, lfsOid, book, listing.observedAt))
  }
  if (differing.length === 0) return events
  const remark: ChangeEvent = {
    type: 'upstream-damaged',
    severity: 'info',
    repo: { type: listing.repo.type, name: listing.repo.name },
    at: listing.observedAt,
    before: null,
    after: listing.commit,
    detail: {
      isRemark: true,
      files: differing.slice(0, MAX_FILES_IN_EVENT),
      count: differing.length,
      meaning:
        'another source recorded other bytes for some revision of these files; they may have been replaced since',
    },
  }
  return [...events, remark]
}

/** The critical event of one file for which a witness recorded other bytes at this very commit; else none. */
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
  return [
    {
      type: 'upstream-damaged',
      severity: 'critical',
      repo: { type: ref.type, name: ref.name },
      at,
      before: heard.map((row) => row.sha256),
      after: sha256,
      detail: {
        path,
        commit,
        witness: heard.map((row) => row.source),
        meaning: 'the Hub promises other bytes for this commit than an independent source recorded',
      },
    },
  ]
}
