import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTarget, type Target, targetHost, targetUrl } from '../../src/hub/url-target.ts'

function target(text: string, base?: Target): Target {
  const reading = readTarget(text, base)
  if (reading.kind === 'refused') throw new Error(reading.reason)
  return reading.target
}

const BASE = target('https://hub.test/api/models?limit=5')

test('readTarget refuses other schemes, credentials, blanks and backslashes', () => {
  const refused = [
    'file:///etc/passwd',
    'ftp://evil.test/x',
    'javascript:alert(1)',
    'data:text/plain,x',
    'https://user:pass@hub.test/x',
    'https://token@hub.test/x',
    'https:\\\\evil.test\\x',
    '/\\evil.test/x',
    'https://hub.test/a b',
    'https://hub.test/a\nb',
    'https://',
    'https:///path',
    'http:/hub.test/x',
    'https://hub.test:99999/',
    'https://ex ample/',
    `https://hub.test/${'a'.repeat(20_000)}`,
    '',
  ]

  for (const text of refused) assert.equal(readTarget(text, BASE).kind, 'refused', text)
})

test('readTarget refuses a relative address without a base', () => {
  assert.equal(readTarget('/x', undefined).kind, 'refused')
})

test('readTarget resolves every relative form', () => {
  assert.equal(targetUrl(target('/b?x=1', BASE)), 'https://hub.test/b?x=1')
  assert.equal(targetUrl(target('?cursor=2', BASE)), 'https://hub.test/api/models?cursor=2')
  assert.equal(targetUrl(target('datasets', BASE)), 'https://hub.test/api/datasets')
  assert.equal(targetUrl(target('//evil.test/x', BASE)), 'https://evil.test/x')
})

test('readTarget never normalises a path', () => {
  for (const path of ['/a/%2E%2E/b', '/a/../b', '/a//b', '/a/%2e/./b', '/%ff%00']) {
    assert.equal(target(`https://hub.test${path}`).path, path)
  }
})

test('readTarget cuts the fragment and keeps the query', () => {
  assert.equal(target('https://hub.test#x').path, '/')
  assert.equal(target('https://hub.test?q=1#x').path, '/?q=1')
})

test('readTarget sends bytes above ASCII and characters browsers encode on percent-encoded', () => {
  assert.equal(target('https://hub.test/caf\u00c3\u00a9"{}').path, '/caf%C3%A9%22%7B%7D')
})

test('readTarget sees through the spellings of a host', () => {
  assert.equal(target('http://2130706433/').hostname, '127.0.0.1')
  assert.equal(target('http://0x7f.1/').hostname, '127.0.0.1')
  assert.equal(target('http://[::FFFF:127.0.0.1]/').hostname, '::ffff:7f00:1')
  assert.equal(target('HTTPS://HUB.test:443/').origin, 'https://hub.test')
  assert.equal(targetHost(target('https://hub.test:8443/x?secret')), 'hub.test:8443')
})
