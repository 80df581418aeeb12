import type { RepoRef } from './repo.ts'

/** Every kind of change, fixed: scripts and alert rules depend on the names. */
export const EVENT_TYPES = [
  'repo-published',
  'repo-updated',
  'repo-unavailable',
  'repo-restored',
  'repo-renamed',
  'repo-recreated',
  'gate-changed',
  'repo-disabled',
  'history-rewritten',
  'ref-moved',
  'ref-deleted',
  'files-replaced',
  'license-changed',
  'license-text-changed',
  'bytes-purged',
  'upstream-damaged',
  'listing-conflict',
  'org-silent',
  'hub-unreachable',
  'hub-reachable',
  'snapshot-sealed',
  'download-failed',
  'fixity-failed',
  'fixity-repaired',
  'budget-reached',
  'disk-low',
  'unsafe-name',
  'watch-failed',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

export const SEVERITIES = ['info', 'notice', 'warning', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** One observed change, not yet numbered. `before`, `after` and `detail` are plain JSON without secrets. */
export interface ChangeEvent {
  readonly type: EventType
  readonly severity: Severity
  readonly repo: RepoRef | undefined
  /** ISO time of the observation. */
  readonly at: string
  readonly before: unknown
  readonly after: unknown
  readonly detail: Readonly<Record<string, unknown>>
}

/** An event of the log: `seq` counts from 1 without gaps, `id` is unique over all archives and never changes. */
export interface LoggedEvent extends ChangeEvent {
  readonly seq: number
  readonly id: string
}
