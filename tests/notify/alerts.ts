import { alertOf, type Alert } from '../../src/domain/alert.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { eventOf, refOf } from '../db/catalog-fixtures.ts'

/** What a person could write into a card to fool, flood or page whoever reads an alert. */
export const HOSTILE =
  '@everyone <!channel> <@U123> <https://evil.example|click> **bold** _i_ `code` [x](https://evil.example) ' +
  '\u001b[2J\u001b]0;owned\u0007\r\nBcc: victim@example.org\r\n\r\n\u202eesrever &amp; ]]> </item> <script>'

/** Numbered events with hostile text in them. */
export function hostileEvent(seq: number): LoggedEvent {
  const event = eventOf('license-changed', {
    severity: 'critical',
    repo: refOf('Qwen/A-1B'),
    before: { license: 'apache-2.0' },
    after: { license: HOSTILE, license_name: HOSTILE },
    detail: { message: HOSTILE, paths: [HOSTILE] },
  })
  return { ...event, seq, id: `01234567-${seq}` }
}

/** One alert about so many events. */
export function hostileAlert(count = 1): Alert {
  const shown = Array.from({ length: count }, (_, at) => ({ event: hostileEvent(at + 1), holds: '3 of 3 files.' }))
  return alertOf({ id: '01234567-1', kind: 'alert', furtherIds: [], archiveHolds: '1 GB in 3 blobs.' }, shown)
}
