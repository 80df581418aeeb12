import type { LoggedEvent } from './events.ts'
import { printRepo } from './repo.ts'

/** An event as `events --json`, webhooks and feeds have it: a shape that other programs depend on. */
export function eventJson(event: LoggedEvent): Record<string, unknown> {
  const { seq, id, type, severity, repo, at, before, after, detail } = event
  const name = repo === undefined ? null : printRepo(repo)
  return { seq, id, type, severity, repo: name, at, before: before ?? null, after: after ?? null, detail }
}
