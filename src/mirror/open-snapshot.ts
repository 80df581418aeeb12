import { ArchiveError } from '../domain/errors.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import type { Visitor } from '../lib/http-visitor.ts'
import type { ArchiveView, NamedRepo } from './archive-view.ts'
import { chooseSnapshot, sealedOf } from './choose-snapshot.ts'
import { MirrorError } from './mirror-error.ts'
import type { SnapshotView } from './snapshot-view.ts'

/**
 * What a route lets a visitor without the token see. `anyone`: it says nothing of any repository. `metadata`: of every
 * repository that is not private. `files`: the same, and no bytes of what was gated when it was archived.
 */
export const ACCESS_RULES = ['anyone', 'metadata', 'files'] as const
export type AccessRule = (typeof ACCESS_RULES)[number]

/** A repository under another name than the one it is served by. */
export class OtherName extends Error {
  readonly ref: RepoRef

  constructor(ref: RepoRef) {
    super(`now ${printRepo(ref)}`)
    this.ref = ref
  }
}

/** The repository, as far as this visitor may know of it. @throws MirrorError RepoNotFound; OtherName */
export async function openRepo(view: ArchiveView, ref: RepoRef, visitor: Visitor): Promise<NamedRepo> {
  const named = await view.repoNamed(ref)
  const rows = named?.rows.filter((row) => visitor.hasToken || row.known?.private !== true) ?? []
  const [first] = rows
  if (first === undefined || !rows.some((row) => sealedOf(row).length > 0)) {
    // One sentence for what is unknown, private, and not sealed yet: the first two must look the same.
    throw new MirrorError(404, 'RepoNotFound', `${printRepo(ref)} has nothing sealed in this archive`)
  }
  // Who was renamed is found under the new name, unless somebody else has taken the old one since.
  const bearer = rows.find((row) => row.ref.name.toLowerCase() === ref.name.toLowerCase()) ?? first
  if (bearer.ref.name !== ref.name) throw new OtherName(bearer.ref)
  return { ref: bearer.ref, rows }
}

/** A sealed commit with the repository it is of. */
export interface OpenedSnapshot {
  readonly repo: NamedRepo
  readonly snapshot: SnapshotView
}

/** @throws MirrorError RepoNotFound, RevisionNotFound, GatedRepo; OtherName */
export async function openSnapshot(
  view: ArchiveView,
  wanted: { readonly ref: RepoRef; readonly revision: string; readonly rule: AccessRule },
  visitor: Visitor,
): Promise<OpenedSnapshot> {
  const { ref, revision, rule } = wanted
  const repo = await openRepo(view, ref, visitor)
  const row = chooseSnapshot(repo, revision)
  if (row === undefined) throw new MirrorError(404, 'RevisionNotFound', revisionMessage(repo, revision))
  const snapshot = await view.view(row).catch((error: unknown) => {
    if (!(error instanceof ArchiveError)) throw error
    throw new MirrorError(503, 'Unavailable', `the records of ${printRepo(ref)}@${row.commit} cannot be read now`)
  })
  const gate = snapshot.gated ?? repo.rows.find((one) => one.repoId === row.repoId)?.known?.gated ?? false
  if (rule === 'files' && gate !== false && !visitor.hasToken) {
    const message = `Access to ${ref.type} ${ref.name} is restricted: it was gated when it was archived. Send the token of this archive (serve.token) as HF_TOKEN.`
    throw new MirrorError(401, 'GatedRepo', message, {
      'WWW-Authenticate': 'Bearer realm="Authentication required", charset="UTF-8"',
      'X-Repo-Commit': snapshot.commit,
    })
  }
  return { repo, snapshot }
}

function revisionMessage(repo: NamedRepo, revision: string): string {
  const shown = revision.length > 100 ? `${revision.slice(0, 100)}…` : revision
  const count = repo.rows.flatMap(sealedOf).length
  return `Invalid rev id: ${shown} (this archive has main and ${count} sealed commit${count === 1 ? '' : 's'} of ${printRepo(repo.ref)})`
}
