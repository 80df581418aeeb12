import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  headerText,
  parseContentEtag,
  parseContentRange,
  parseNextLink,
  parseRateLimit,
  parseRetryAfter,
  parseUnsatisfiedRange,
} from '../../src/hub/http-headers.ts'
import { processorMs } from '../support/processor-time.ts'

const SHA = '0123456789abcdef'.repeat(4)
const OID = '0123456789abcdef01230123456789abcdef0123'

test('parseContentEtag refuses what is not exactly one content hash', () => {
  const refused = [
    'W/"abc"',
    `"${SHA}`,
    `${SHA}"`,
    `W/W/"${SHA}"`,
    `"W/${SHA}"`,
    `""${SHA}""`,
    '*'.repeat(64),
    SHA.slice(1),
    `${SHA}0`,
    SHA.toUpperCase(),
    '../../../etc/x',
    `"${SHA}\n"`,
    `${SHA}\n`,
    ` "${SHA}"`,
    `"${SHA}", "${SHA}"`,
    '""',
    '',
    undefined,
  ]

  for (const text of refused) assert.equal(parseContentEtag(text), undefined, String(text))
})

test('parseContentEtag takes off W/ once and both quotes', () => {
  for (const text of [SHA, `"${SHA}"`, `W/"${SHA}"`, `W/${SHA}`]) assert.equal(parseContentEtag(text), SHA)
  assert.equal(parseContentEtag(`"${OID}"`), OID)
  // An ETag that begins with letters of the prefix loses none of them.
  assert.equal(parseContentEtag('0'.repeat(64)), '0'.repeat(64))
})

test('parseContentRange refuses other units, unknown totals and numbers that are not exact', () => {
  const refused = [
    undefined,
    'bytes 0-9/*',
    'bytes */10',
    'items 0-9/10',
    'bytes 0-9',
    'bytes 9-0/10',
    'bytes 0-10/10',
    'bytes -1-9/10',
    'bytes 0-9/9007199254740993',
    'bytes  0-9/10',
    'bytes 0-9/10 ',
    'bytes 0-9/10, bytes 0-9/10',
    'bytes=0-9/10',
  ]

  for (const text of refused) assert.equal(parseContentRange(text), undefined, String(text))
  assert.deepEqual(parseContentRange('bytes 3-9/10'), { start: 3, end: 10, total: 10 })
})

test('parseUnsatisfiedRange reads the total of a 416 and nothing else', () => {
  assert.equal(parseUnsatisfiedRange('bytes */10'), 10)
  for (const text of [undefined, 'bytes 0-9/10', 'bytes */*', 'bytes */-1']) {
    assert.equal(parseUnsatisfiedRange(text), undefined)
  }
})

test('parseRetryAfter reads seconds and dates, never backwards', () => {
  const now = Date.parse('2026-09-23T00:00:00Z')

  assert.equal(parseRetryAfter('7', now), 7000)
  assert.equal(parseRetryAfter('Wed, 23 Sep 2026 00:01:00 GMT', now), 60_000)
  assert.equal(parseRetryAfter('Tue, 22 Sep 2026 00:01:00 GMT', now), 0)
  for (const text of [undefined, '-7', '1.5', 'soon', '2026-09-23T00:01:00Z', '9'.repeat(20)]) {
    assert.equal(parseRetryAfter(text, now), undefined, String(text))
  }
})

test('parseRateLimit reads the pair the Hub sends and refuses others', () => {
  const policy = '"fixed window";"api";q=500;w=300'

  assert.deepEqual(parseRateLimit('"api";r=485;t=163', policy), {
    bucket: 'api',
    remaining: 485,
    resetSeconds: 163,
    quota: 500,
  })
  assert.equal(parseRateLimit('"api";r=485;t=163', undefined)?.quota, undefined)
  assert.equal(parseRateLimit('"api";r=485;t=163', '"fixed window";"pages";q=100;w=300')?.quota, undefined)
  for (const text of [
    undefined,
    '',
    '"api";r=-1;t=5',
    '"api";r=1e3;t=5',
    '"api";r=5',
    'api;r=5;t=5',
    '"api";r=NaN;t=5',
  ]) {
    assert.equal(parseRateLimit(text, policy), undefined, String(text))
  }
})

test('parseNextLink calls a header unreadable rather than the last page', () => {
  const unreadable = [
    'https://hub.test/api/models?cursor=b; rel="next"',
    '<https://hub.test/a>; rel="next", <https://hub.test/b>; rel="next"',
    '<https://hub.test/a; rel="next"',
    'garbage',
  ]

  for (const text of unreadable) assert.deepEqual(parseNextLink(text), { kind: 'unreadable' }, text)
})

test('parseNextLink finds the next page however it is written', () => {
  const url = 'https://hub.test/api/models?cursor=b'
  const written = [
    `<${url}>; rel="next"`,
    `<${url}>;rel=next`,
    `<${url}>; REL="Next"`,
    `<${url}>; title="a, b"; rel="last next"`,
    `<https://hub.test/a>; rel="prev", <${url}>; rel="next"`,
    `<${url}>; rel="next", <${url}>; rel="next"`,
  ]

  for (const text of written) assert.deepEqual(parseNextLink(text), { kind: 'next', url }, text)
  assert.deepEqual(parseNextLink('<https://hub.test/a>; rel="prev"'), { kind: 'none' })
  assert.deepEqual(parseNextLink(undefined), { kind: 'none' })
})

test('parseNextLink takes time linear in the header', () => {
  const headers = [`<${'a'.repeat(900_000)}`, `<a>${'; a'.repeat(300_000)}!`, `<a>${';'.repeat(900_000)}`]

  const ms = processorMs(() => headers.forEach((header) => parseNextLink(header)))

  // Quadratic work on a megabyte would take minutes.
  assert.ok(ms < 10_000, `${ms} ms`)
})

test('headerText joins repeated headers and knows no inherited ones', () => {
  assert.equal(headerText({ 'content-length': ['50', '60'] }, 'content-length'), '50, 60')
  assert.equal(headerText({}, 'constructor'), undefined)
  assert.equal(headerText({}, '__proto__'), undefined)
})
