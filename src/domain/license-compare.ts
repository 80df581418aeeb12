import type { CommitId } from './digest.ts'
import type { ChangeEvent } from './events.ts'
import { contradicts, licenseTextSeverity } from './license-change.ts'
import type { LicenseFile, LicenseReading } from './license-entry.ts'
import type { LicenseForm } from './license-form.ts'
import type { LicenseMatch } from './license-match.ts'
import type { LicenseFacts, RepoRef } from './repo.ts'

/** The licence of one commit, its files read. */
export interface CommitLicense {
  readonly ref: RepoRef
  readonly commit: CommitId
  readonly stated: LicenseFacts
  readonly form: LicenseForm | undefined
  readonly files: readonly LicenseFile[]
}

type ReadText = LicenseFile & { readonly reading: Extract<LicenseReading, { match: LicenseMatch }> }

/**
 * What the licence texts of a commit tell that its card did not: texts that changed, came or went since the commit
 * before, and texts that are another licence than the card states. A contradiction that was there before is no news.
 */
export function licenseTextEvents(
  previous: CommitLicense | undefined,
  next: CommitLicense,
  context: { readonly at: string; readonly allow: readonly string[] | undefined },
): ChangeEvent[] {
  const known = new Set(previous === undefined ? [] : contradictionsOf(previous).map(keyOf))
  const news = contradictionsOf(next).filter((file) => !known.has(keyOf(file)))
  return [
    ...(previous === undefined ? [] : changedTexts(previous, next, context)),
    ...news.map((file) => contradictionEvent({ previous, next, file }, context.at)),
  ]

  function keyOf(file: ReadText): string {
    return JSON.stringify([file.path, identityOf(file), next.form?.expression])
  }
}

/** LICENSE files that are another licence than the card states. */
export function contradictionsOf(license: CommitLicense): readonly ReadText[] {
  return textsOf(license).filter((file) => contradicts(license.form, file.reading.match))
}

/** What a text reads, in a few words: `Apache-2.0`, `altered Apache-2.0`, `no known licence`, `not read`. */
export function matchText(match: LicenseMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.ids.join(' or ')
    case 'altered':
      return `altered ${match.ids.join(' or ')}`
    case 'unknown':
      return 'no known licence'
    case 'unread':
      return 'not read'
  }
}

function changedTexts(
  previous: CommitLicense,
  next: CommitLicense,
  { at, allow }: { at: string; allow: readonly string[] | undefined },
): ChangeEvent[] {
  const before = new Map(textsOf(previous).map((file) => [file.path, file]))
  const after = new Map(textsOf(next).map((file) => [file.path, file]))
  const listedBefore = new Set(previous.files.map((file) => file.path))
  const listedAfter = new Set(next.files.map((file) => file.path))
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)]
    // One that is listed and could not be read concludes nothing.
    if (old === undefined ? listedBefore.has(path) : now === undefined && listedAfter.has(path)) return []
    if (old !== undefined && now !== undefined && identityOf(old) === identityOf(now)) return []
    return [
      {
        type: 'license-text-changed' as const,
        severity: licenseTextSeverity(old?.reading.match, now?.reading.match, allow),
        repo: next.ref,
        at,
        before: stateOf(old),
        after: stateOf(now),
        detail: { path, commit: next.commit, previousCommit: previous.commit, stated: next.form?.expression ?? null },
      },
    ]
  })
}

function stateOf(file: ReadText | undefined): Record<string, unknown> | null {
  return file === undefined ? null : { sha256: file.sha256, reads: matchText(file.reading.match) }
}

function contradictionEvent(
  { previous, next: license, file }: { previous: CommitLicense | undefined; next: CommitLicense; file: ReadText },
  at: string,
): ChangeEvent {
  return {
    type: 'license-changed',
    severity: 'warning',
    repo: license.ref,
    at,
    before: license.stated,
    after: license.stated,
    detail: {
      contradiction: true,
      path: file.path,
      sha256: file.sha256,
      commit: license.commit,
      previousCommit: previous?.commit ?? null,
      stated: license.form?.expression ?? null,
      reads: matchText(file.reading.match),
    },
  }
}

function textsOf(license: CommitLicense): ReadText[] {
  return license.files.filter((file): file is ReadText => file.reading?.role === 'license')
}

/** Two copies of one known licence are the same text, whatever is left out of them; else the words decide. */
function identityOf(file: ReadText): string {
  const { match, wordsSha256 } = file.reading
  if (match.kind === 'exact') return match.ids.join(' ')
  return wordsSha256 ?? file.sha256 ?? ''
}
