import type { SnapshotState } from '../archive-rows.ts'
import type { Severity } from '../domain/events.ts'
import type { UpstreamState } from '../domain/repo-state.ts'
import type { Paint, Palette } from './palette.ts'

const STATE_PAINTS = {
  sealed: 'good',
  fetching: 'attention',
  blocked: 'bad',
  listed: 'faint',
} as const satisfies Record<SnapshotState, keyof Palette>

const UPSTREAM_PAINTS = {
  ok: 'good',
  gated: 'attention',
  disabled: 'attention',
  unavailable: 'bad',
  renamed: 'attention',
  recreated: 'bad',
  unknown: 'faint',
} as const satisfies Record<UpstreamState, keyof Palette>

const SEVERITY_PAINTS = {
  info: 'faint',
  notice: 'name',
  warning: 'attention',
  critical: 'bad',
} as const satisfies Record<Severity, keyof Palette>

/** Colour of a snapshot's state; undefined before the first listing. */
export function paintOfState(state: SnapshotState | undefined, palette: Palette): Paint {
  return palette[state === undefined ? 'faint' : STATE_PAINTS[state]]
}

/** Colour of what the Hub says of a repository. */
export function paintOfUpstream(upstream: UpstreamState, palette: Palette): Paint {
  return palette[UPSTREAM_PAINTS[upstream]]
}

/** Colour of an event's severity. */
export function paintOfSeverity(severity: Severity, palette: Palette): Paint {
  return palette[SEVERITY_PAINTS[severity]]
}
