import type { Sha256 } from './digest.ts'
import type { LoggedEvent } from './events.ts'

/** The events that tell of damage to archived bytes, and of its end. */
export const DAMAGE_EVENTS = ['fixity-failed', 'fixity-repaired'] as const

/** Takes an event into the set of blobs that were found damaged and not repaired since. Others change nothing. */
export function noteDamage(open: Set<Sha256>, event: LoggedEvent): void {
  if (event.type !== 'fixity-failed' && event.type !== 'fixity-repaired') return
  const sha256 = event.detail['sha256'] ?? event.before
  if (typeof sha256 !== 'string') return
  if (event.type === 'fixity-failed') open.add(sha256 as Sha256)
  else open.delete(sha256 as Sha256)
}

/** Damage as a person asks for it. */
export interface DamageSeen {
  readonly found: number
  readonly lastAt: string | undefined
  /** Blobs that were not repaired since. Whether they are damaged still only a new reading tells. */
  readonly open: number
}

/** @param events those of damage, oldest first */
export function damageSeen(events: readonly LoggedEvent[]): DamageSeen {
  const open = new Set<Sha256>()
  for (const event of events) noteDamage(open, event)
  const found = events.filter(({ type }) => type === 'fixity-failed')
  return { found: found.length, lastAt: found.at(-1)?.at, open: open.size }
}
