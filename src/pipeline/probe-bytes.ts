import { ArchiveError } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { isOfTheHub } from '../domain/hub-refusal.ts'
import { contentKeyOf } from '../domain/listing.ts'
import { isPurged, purgedEvent } from '../domain/purged-bytes.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { DueRefs } from '../watch-rows.ts'
import { nowIso, type PipelineDeps } from './deps.ts'

/** Contents of one repository that were told as purged. */
const REMEMBERED = 1000
/** Files of a head among which a large one is looked for. */
const LOOKED_AT = 500

/** Whether a content was told as purged before: once is enough, whatever else failed since. */
export async function isToldAsPurged(deps: PipelineDeps, ref: RepoRef, content: string): Promise<boolean> {
  const told = await deps.catalog.events({ repo: ref.name, type: 'bytes-purged', limit: REMEMBERED })
  return told.some((event) => event.detail['content'] === content)
}

/**
 * `bytes-purged` when the first byte of the head's largest file that we hold is not served any more. What cannot be asked
 * for concludes nothing.
 */
export async function purgedSince(deps: PipelineDeps, repo: DueRefs, signal: AbortSignal): Promise<ChangeEvent[]> {
  const { ref, head: commit } = repo
  const snapshot = await deps.catalog.snapshot(repo.repoId, commit)
  if (snapshot === undefined) return []
  const files = await deps.catalog.files(snapshot.snapshotId, { after: undefined, limit: LOOKED_AT })
  const held = files.filter((one) => one.isLfs && one.size > 0 && one.sha256 !== undefined)
  const file = held.toSorted((a, b) => b.size - a.size)[0]
  const key = file === undefined ? undefined : contentKeyOf(file)
  if (file === undefined || key === undefined) return []
  try {
    const resolved = await deps.hub.resolveFile({ ref, commit, path: file.path }, signal)
    await using body = await deps.hub.openRange(resolved, 0, 1, signal)
    void body
    return []
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError) || !isOfTheHub(error.code)) throw error
    if (!isPurged(error.code, error.details) || (await isToldAsPurged(deps, ref, key))) return []
    const content = { key, size: file.size, isHeld: true }
    return [purgedEvent({ ref, commit, path: file.path }, content, { at: nowIso(deps), details: error.details })]
  }
}
