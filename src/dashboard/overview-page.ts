import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { CatalogTotals } from '../archive-rows.ts'
import { eventSentence } from '../domain/event-sentence.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import { formatSize } from '../domain/size-text.ts'
import { printWatch } from '../domain/watch.ts'
import type { WatchState } from '../watch-rows.ts'

/** What the page shows. */
export interface Overview {
  readonly totals: CatalogTotals
  /** The entries of the watch list, each with its state; undefined before its first poll. */
  readonly watches: readonly { readonly key: string; readonly state: WatchState | undefined }[]
  /** Newest first. */
  readonly events: readonly LoggedEvent[]
  /** ISO time of now. */
  readonly at: string
}

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8884 }
td.nowrap, th { white-space: nowrap }
td.critical { color: #c0392b; font-weight: 600 } td.warning { color: #b9770e; font-weight: 600 }
td { overflow-wrap: anywhere } td:first-child { overflow-wrap: break-word }
`

/** The page may use this style and nothing else: no script, no image, no frame. */
export const OVERVIEW_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`

/** The archive at a glance as one page without scripts. Every text is escaped; names of upstream are never links. */
export async function overviewPage({ totals, watches, events, at }: Overview): Promise<string> {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>weightvault</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <h1>weightvault</h1>
        <p>
          Holds ${formatSize(totals.blobBytes)} in ${counted(totals.blobs, 'blob', 'blobs')}; ${totals.sealedSnapshots}
          of ${counted(totals.snapshots, 'snapshot', 'snapshots')} of
          ${counted(totals.repos, 'repository', 'repositories')} sealed. Queue: ${totals.jobsReady} ready,
          ${totals.jobsLeased} running, ${totals.jobsHeld} held back, ${totals.jobsFailed} waiting after a failure;
          ${formatSize(totals.bytesQueued)} to fetch. Least recently verified: ${time(totals.oldestVerifiedAt)}.
        </p>
        <h2>Watches</h2>
        <table>
          <tr>
            <th>Watch</th>
            <th>Repositories</th>
            <th>Last poll (UTC)</th>
            <th>Result</th>
          </tr>
          ${watches.map(
            ({ key, state }) =>
              html`<tr>
                <td>${printWatch(key)}</td>
                <td>${state?.repos ?? 0}</td>
                <td class="nowrap">${time(state?.lastPollAt)}</td>
                <td>${resultText(state)}</td>
              </tr>`,
          )}
        </table>
        <h2>Latest events</h2>
        <table>
          <tr>
            <th>#</th>
            <th>Time (UTC)</th>
            <th>Severity</th>
            <th>Repository</th>
            <th>What happened</th>
          </tr>
          ${events.map(
            (event) =>
              html`<tr>
                <td class="nowrap">${event.seq}</td>
                <td class="nowrap">${time(event.at)}</td>
                <td class="nowrap ${event.severity}">${event.severity}</td>
                <td>${event.repo === undefined ? '' : displayName(printRepo(event.repo))}</td>
                <td>${eventSentence(event)}</td>
              </tr>`,
          )}
        </table>
        <p>
          Feeds: <a href="/feeds/events.atom">Atom</a>, <a href="/feeds/events.rss">RSS</a>,
          <a href="/feeds/events.json">JSON</a>. As of ${time(at)}; load the page again for news. The commands
          <code>weightvault status</code>, <code>list</code> and <code>events</code> say more.
        </p>
      </body>
    </html>`
  return String(await page)
}

function resultText(state: WatchState | undefined): string {
  if (state === undefined) return 'not polled yet'
  return state.lastErrorCode === undefined ? 'ok' : `${state.lastErrorCode} ${state.lastErrorMessage ?? ''}`
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `2026-11-22 06:40:12`, or `never`. */
function time(iso: string | undefined): string {
  return iso === undefined ? 'never' : iso.slice(0, 19).replace('T', ' ')
}
