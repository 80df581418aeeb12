import type { ChangeEvent } from '../domain/events.ts'
import { differingPaths, type Listing } from '../domain/listing.ts'
import { raise, type PipelineDeps } from './deps.ts'

/** Paths that an event names. */
const NAMED_PATHS = 20
/** Conflicts of one repository that are remembered as told. */
const REMEMBERED = 1000

/** `listing-conflict`: the Hub promised something else for a commit than it did first. */
export function conflictEvent(first: Listing, next: Listing): ChangeEvent {
  const paths = differingPaths(first, next)
  const { type, name } = first.repo
  return {
    type: 'listing-conflict',
    severity: 'critical',
    repo: { type, name },
    at: next.observedAt,
    before: first.commit,
    after: first.commit,
    detail: {
      meaning: 'the Hub promised other files for a commit than before; both listings are kept',
      paths: paths.slice(0, NAMED_PATHS),
      pathCount: paths.length,
    },
  }
}

/** Raises the conflict unless it was told: a tree that says the same other thing every day is one piece of news. */
export async function raiseConflict(deps: PipelineDeps, first: Listing, next: Listing): Promise<void> {
  const event = conflictEvent(first, next)
  const { type } = event
  const told = await deps.catalog.events({ repo: first.repo.name, type, limit: REMEMBERED })
  if (!told.some((one) => keyOf(one) === keyOf(event))) await raise(deps, [event])
}

function keyOf({ before, detail }: ChangeEvent): string {
  return JSON.stringify([before, detail['paths'], detail['pathCount']])
}
