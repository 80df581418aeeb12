import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertOf, reducedAlert } from '../../src/domain/alert.ts'
import { alertBody, plainForm } from '../../src/domain/alert-body.ts'
import { alertPauseMs, isToldNow, isTryDue } from '../../src/domain/alert-delivery.ts'
import { eventMeaning } from '../../src/domain/event-meaning.ts'
import { EVENT_TYPES, type EventType, type LoggedEvent } from '../../src/domain/events.ts'
import { HOSTILE } from '../notify/alerts.ts'
import { eventOf } from '../db/catalog-fixtures.ts'

const frame = { id: 'x-1', kind: 'alert', furtherIds: [], archiveHolds: '1 GB in 3 blobs.' } as const
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/

function logged(type: EventType, seq = 1): LoggedEvent {
  const detail = { path: HOSTILE, reason: HOSTILE, ref: HOSTILE, names: [HOSTILE] }
  return { ...eventOf(type, { before: HOSTILE, after: HOSTILE, detail }), seq, id: `x-${seq}` }
}

test('alertOf says of every type what happened, what it means, what is held and what to do, in harmless text', () => {
  for (const type of EVENT_TYPES) {
    const alert = alertOf(frame, [{ event: logged(type), holds: '3 of 3 files.' }])
    const body = alertBody(alert, plainForm(5000))

    for (const part of [alert.title, alert.means, alert.holds, alert.todo, ...alert.happened]) {
      assert.ok(part.length > 3, type)
    }
    assert.ok(alert.title.startsWith('Qwen/A: '), type)
    assert.equal(alert.holds, '3 of 3 files.')
    assert.ok(body.includes(`What to do: ${eventMeaning(type).todo}`), type)
    assert.doesNotMatch(`${alert.title}${body}`, CONTROLS, type)
    assert.match(body, /x-1 · info · 2026-03-01T00:00:00\.000Z$/)
  }
})

test('alertBody fits any length that a channel has, keeps what to do, and says what it left out', () => {
  const shown = Array.from({ length: 50 }, (_, at) => ({
    event: logged('repo-unavailable', at + 1),
    holds: 'x'.repeat(50),
  }))
  const alert = alertOf({ ...frame, furtherIds: ['x-51', 'x-52'] }, shown)

  for (const most of [1000, 1900, 3000, 10_000, 100_000]) {
    const body = alertBody(alert, plainForm(most))
    assert.ok(body.length <= most, `${body.length} of ${most}`)
    assert.match(body, /What to do: Keep the archive safe/)
    assert.match(body, /and \d+ more/)
  }
  assert.equal(alert.title, 'Qwen: 52 times not available on the Hub any more')
})

test('reducedAlert has no word from upstream, and every id', () => {
  const shown = [1, 2, 3].map((seq) => ({ event: logged('license-changed', seq), holds: HOSTILE }))

  const reduced = reducedAlert(alertOf({ ...frame, furtherIds: ['x-4'] }, shown))

  assert.doesNotMatch(JSON.stringify({ ...reduced, holds: '' }), /everyone|evil/)
  assert.deepEqual(reduced.furtherIds, ['x-1', 'x-2', 'x-3', 'x-4'])
  assert.match(reduced.title, /^info: event 1 \(license-changed\) and 3 more$/)
})

test('alertPauseMs grows to an hour and keeps what the channel asked for', () => {
  for (const [failures, random, asked, expected] of [
    [1, 0, undefined, 5000],
    [1, 1, undefined, 10_000],
    [5, 1, undefined, 160_000],
    [1000, 1, undefined, 3_600_000],
    [1, 0, 60_000, 60_000],
    [1, 0, 1e12, 3_600_000],
  ] as const) {
    assert.equal(alertPauseMs(failures, random, asked), expected)
  }
})

test('a clock that was set back puts no try off, and telling others is not repeated within a day', () => {
  assert.deepEqual([isTryDue(5, 5), isTryDue(6, 5), isTryDue(5 + 3_600_001, 5)], [true, false, true])
  assert.deepEqual(
    [isToldNow(2, undefined, 0), isToldNow(3, undefined, 0), isToldNow(9, 0, 86_399_999), isToldNow(9, 0, 86_400_000)],
    [false, true, false, true],
  )
})
