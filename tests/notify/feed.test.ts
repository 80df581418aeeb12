import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEED_FORMATS, writeFeed } from '../../src/notify/feed.ts'
import { hostileEvent } from './alerts.ts'

const frame = { archiveId: '0123456789ab', url: 'http://127.0.0.1:8420/feeds/events.atom', nowMs: 0 }

test('writeFeed writes each event once, newest first, with an id that never changes', () => {
  const events = [hostileEvent(1), hostileEvent(2), hostileEvent(3)]

  for (const format of FEED_FORMATS) {
    const text = writeFeed(format, frame, events)
    const ids = [...text.matchAll(/urn:weightvault:event:(01234567-\d)/g)].map((match) => match[1])

    assert.deepEqual([...new Set(ids)], ['01234567-3', '01234567-2', '01234567-1'], format)
    assert.equal(writeFeed(format, frame, events), text, `${format} of the same events is the same`)
  }
})

test('writeFeed lets no text of upstream become markup', () => {
  for (const format of ['atom', 'rss'] as const) {
    const text = writeFeed(format, frame, [hostileEvent(1)])
    const tags = [...text.matchAll(/<\/?([A-Za-z][\w:-]*)/g)].map((match) => match[1])
    // CDATA hides what looks like tags; its end must not come from upstream.
    const outside = text.replaceAll(/<!\[CDATA\[[^]*?\]\]>/g, '')

    assert.doesNotMatch(outside, /<script|<!channel|onerror/, format)
    assert.equal(outside.match(/<\/item>|<\/entry>/g)?.length, 1, tags.join(' '))
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u202a-\u202e]/, format)
  }
  assert.doesNotThrow(() => JSON.parse(writeFeed('json', frame, [hostileEvent(1)])) as unknown)
})

test('writeFeed makes a feed of nothing, too', () => {
  for (const format of FEED_FORMATS) assert.match(writeFeed(format, frame, []), /weightvault events/)
})
