import type { QueuedMessage } from '../alert-port.ts'
import { alertOf, reducedAlert, type Alert, type ShownEvent } from '../domain/alert.ts'
import { isReduced, NOTICE_SEVERITY } from '../domain/alert-delivery.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { archiveHolds, repoHolds } from './alert-holds.ts'
import type { DeliveryDeps } from './deliver-alerts.ts'

/** Events of a message that are shown with their details; the others are counted and named by id. */
const MAX_SHOWN = 50

/**
 * The message for a person, from the log and what is held now.
 * @param lastCode of the try before, for a channel that keeps refusing it
 */
export async function composeAlert(
  deps: Pick<DeliveryDeps, 'catalog'>,
  message: QueuedMessage,
  lastCode: string | undefined,
): Promise<Alert> {
  const { catalog } = deps
  const holds = archiveHolds(await catalog.totals())
  if (message.notice !== undefined) {
    const { title, happened, means, todo } = message.notice
    const at = new Date(message.createdMs).toISOString()
    const text = { title, happened: [happened], means, holds, todo }
    return { id: message.id, kind: 'notice', severity: NOTICE_SEVERITY, at, ...text, events: [], furtherIds: [] }
  }
  const shown: ShownEvent[] = []
  const known = new Map<string, string>()
  for (const seq of message.seqs.slice(0, MAX_SHOWN)) {
    const [event] = await catalog.events({ since: seq - 1, limit: 1 })
    if (event?.seq === seq) shown.push({ event, holds: await holdsOf(deps, event, known) })
  }
  const prefix = catalog.archiveId.slice(0, 8)
  const furtherIds = message.seqs.slice(MAX_SHOWN).map((seq) => `${prefix}-${seq}`)
  const kind = message.kind === 'digest' ? 'digest' : 'alert'
  const alert = alertOf({ id: message.id, kind, furtherIds, archiveHolds: holds }, shown)
  return isReduced(message.attempts, lastCode) ? reducedAlert(alert) : alert
}

async function holdsOf(
  { catalog }: Pick<DeliveryDeps, 'catalog'>,
  event: LoggedEvent,
  known: Map<string, string>,
): Promise<string> {
  const { repo } = event
  if (repo === undefined) return ''
  const key = `${repo.type} ${repo.name}`
  const found = known.get(key) ?? repoHolds(await catalog.repoRow(repo))
  known.set(key, found)
  return found
}
