import type { ChangeEvent, EventType, Severity } from './events.ts'
import { SEVERITIES } from './events.ts'
import { matchGlob } from './glob.ts'
import { printRepo } from './repo.ts'

/** When a channel is told of an event: all that is given must hold. */
export interface AlertRule {
  readonly min: Severity
  /** Undefined = every type. */
  readonly types: readonly EventType[] | undefined
  /** Globs on the printed name (`Qwen/*`, `datasets/Qwen/*`), without case. Undefined = also events of no repository. */
  readonly repos: readonly string[] | undefined
}

/** Whether any of a channel's rules asks for this event. */
export function isAsked(rules: readonly AlertRule[], event: ChangeEvent): boolean {
  return rules.some((rule) => asks(rule, event))
}

function asks(rule: AlertRule, event: ChangeEvent): boolean {
  if (SEVERITIES.indexOf(event.severity) < SEVERITIES.indexOf(rule.min)) return false
  if (rule.types !== undefined && !rule.types.includes(event.type)) return false
  if (rule.repos === undefined) return true
  if (event.repo === undefined) return false
  const name = printRepo(event.repo).toLowerCase()
  return rule.repos.some((pattern) => matchGlob(pattern.toLowerCase(), name))
}

/** The highest severity of some events; `info` for none. */
export function worstOf(events: readonly Pick<ChangeEvent, 'severity'>[]): Severity {
  const ranks = events.map(({ severity }) => SEVERITIES.indexOf(severity))
  return SEVERITIES[Math.max(0, ...ranks)] ?? 'info'
}
