import { Feed } from 'feed'
import { alertOf } from '../domain/alert.ts'
import { alertBody, plainForm } from '../domain/alert-body.ts'
import type { LoggedEvent } from '../domain/events.ts'

/** What a feed can be written as, by the ending of its address. */
export const FEED_FORMATS = ['atom', 'rss', 'json'] as const
export type FeedFormat = (typeof FEED_FORMATS)[number]

const MAX_TEXT_CHARACTERS = 4000

export interface FeedFrame {
  readonly archiveId: string
  /** Where the feed was asked for, without its query. */
  readonly url: string
  readonly nowMs: number
}

/** A feed of events, newest first. Everything in it is text: nothing from upstream is markup. */
export function writeFeed(format: FeedFormat, frame: FeedFrame, events: readonly LoggedEvent[]): string {
  const newestFirst = events.toReversed()
  const feed = new Feed({
    id: `urn:weightvault:${frame.archiveId}`,
    title: 'weightvault events',
    description: 'What changed in the repositories that this archive watches.',
    link: frame.url,
    updated: dateOf(newestFirst[0]?.at, frame.nowMs),
    generator: 'weightvault',
    feedLinks: { [format]: frame.url },
  })
  for (const event of newestFirst) {
    const alert = alertOf({ id: event.id, kind: 'alert', furtherIds: [], archiveHolds: '' }, [{ event, holds: '' }])
    feed.addItem({
      id: `urn:weightvault:event:${event.id}`,
      guid: `urn:weightvault:event:${event.id}`,
      title: `[${event.severity}] ${alert.title}`,
      // A feed has no page of its own to point to yet; the fragment keeps links of items apart.
      link: `${frame.url}#${event.id}`,
      date: dateOf(event.at, frame.nowMs),
      description: alertBody({ ...alert, holds: HOLDS }, plainForm(MAX_TEXT_CHARACTERS)),
      category: [{ name: event.type }, { name: event.severity }],
    })
  }
  if (format === 'atom') return feed.atom1()
  return format === 'rss' ? feed.rss2() : feed.json1()
}

/** A feed is read later than it is written: what is held then is asked of the archive. */
const HOLDS = '"weightvault show" has what is held now.'

function dateOf(iso: string | undefined, nowMs: number): Date {
  const ms = Date.parse(iso ?? '')
  return new Date(Number.isNaN(ms) ? nowMs : ms)
}
