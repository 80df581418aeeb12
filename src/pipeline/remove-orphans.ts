import type { PipelineDeps } from './deps.ts'

/** A policy that is changed back, or a catalog that is lost and made again, may want unfinished bytes for so long. */
const KEPT_MS = 7 * 24 * 60 * 60_000

/**
 * Removes unfinished downloads that no job wants and nobody touched for a week. They prove nothing and can be fetched
 * again; counted against the budget, they would keep room from others for ever.
 * @returns how many were removed
 */
export async function removeOrphans(deps: PipelineDeps, signal: AbortSignal): Promise<number> {
  const unfinished = await deps.blobs.partialSizes()
  const orphans = await deps.catalog.unwantedKeys([...unfinished.keys()])
  let removed = 0
  for (const key of orphans) {
    signal.throwIfAborted()
    if (!(await deps.blobs.discardPartial(key, deps.clock.now() - KEPT_MS))) continue
    removed += 1
    deps.log.info(
      { component: 'disk', key, bytes: unfinished.get(key) },
      'unfinished download that nobody wants removed',
    )
  }
  return removed
}
