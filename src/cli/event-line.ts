import { eventSentence } from '../domain/event-sentence.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { printRepo } from '../domain/repo.ts'
import type { Palette } from './palette.ts'
import { paintOfSeverity } from './state-paint.ts'

/** One event as one readable line: number, time, severity, repository, sentence. */
export function eventLine(event: LoggedEvent, palette: Palette, options: { withDate: boolean }): string {
  const severity = paintOfSeverity(event.severity, palette)(event.severity.padEnd(8))
  const head = options.withDate ? `${palette.faint(`${String(event.seq).padStart(6)}  ${shortTime(event.at)}`)}  ` : ''
  const repo = event.repo === undefined ? '' : `${palette.name(printRepo(event.repo))} `
  return `${head}${severity}  ${repo}${eventSentence(event)}`
}

/** Whether an event is worth a line while work goes on: not what the lines of polls, seals and failed files tell already. */
export function isNews(event: LoggedEvent): boolean {
  if (event.type === 'download-failed') return event.detail['path'] === undefined
  return event.type !== 'snapshot-sealed' && event.detail['backlog'] !== true
}

/** As `isNews` where the failures are listed at the end. */
export function isNewsBeforeFailures(event: LoggedEvent): boolean {
  return isNews(event) && event.type !== 'download-failed' && event.type !== 'watch-failed'
}

/** `2026-03-12 10:20:30` of an ISO time; it stays UTC. */
function shortTime(iso: string): string {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/.test(iso) ? iso.slice(0, 19).replace('T', ' ') : 'unknown time'
}
